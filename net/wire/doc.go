// Package wire says how messages look between two nodes. It does no I/O.
//
// [Codec] turns one message into a CBOR body and back; net/p2p sends the bodies and
// net/simnet counts their bytes.
package wire
