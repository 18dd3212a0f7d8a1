// Package wire says how messages look between two nodes. It does no I/O: net/p2p
// sends what it writes, and net/simnet counts its bytes.
//
// # Streams
//
// A node that wants to ask another opens one stream, under the name [Protocol], and
// keeps it. Requests go one way, replies come back the other way, in any order. A
// stream is a sequence of frames; the first in each direction is a [Hello]. All
// numbers in heads are big-endian:
//
//	length   2 bytes   of what follows; at most MaxFrame - 2
//	type     1 byte    Request, Reply, Failure, Opening; 0x40: fragments follow;
//	                   0x80: a later fragment
//	id       4 bytes   chosen by the asking side; the answer repeats it
//	code     2 bytes   of the message or the error; not in a later fragment
//	total    4 bytes   length of the payload; only if fragments follow
//	payload  the rest
//
// The payload of a request or reply is a table of contacts and a CBOR body:
//
//	count    uvarint
//	count times, in ascending order of ref:
//	  ref    uvarint   how the sender's body names the peer
//	  size   uvarint
//	  record           a [Contact] in CBOR
//	body     the rest
//
// The code 0 is no message's: a request with it, without contacts and body, asks for
// a sign of life, and is answered like any message that is not known.
//
// # Peers
//
// In a body a dht.Peer is its sender's Ref and the incarnation; a Ref means nothing
// to anybody else. The table translates: whoever receives it interns the records,
// computes each identifier anew from the identity, and rewrites the message through
// EachPeer. A body that names a Ref the table lacks is malformed.
//
// # Long messages
//
// A message too long for one frame is cut into fragments. Whole messages may pass
// between two fragments, so that a value of a megabyte delays a small message by
// one frame. Only one message per direction is in fragments at any time: what the
// receiver must hold is bounded by one message. Only messages that carry values
// (dht.Kind.Data) can be long; the sender keeps the order of all of these among each
// other, and that of all others.
//
// # Limits
//
// Every length is checked before anything is allocated for it, and what a fragment
// announces is allocated as it arrives. A message that carries no values has a
// payload of at most [MaxRouting] bytes; the others are bounded by what the
// receiver's Hello announces ([Codec.Limit]). A message mentions at most
// dht.MaxPeers peers. The decoder bounds nesting, lists and maps.
//
// # Speed
//
// Most messages are plain structs, and half of the time of a small call went into
// CBOR by way of reflection. The codec studies each message type once (shape.go) and
// then writes and reads it directly; any other type, and any body that is not in the
// form the codec itself writes, goes through the CBOR library. Both ways give the
// same bytes and the same messages, which a property test and a fuzz target compare.
//
// # Versions
//
// The format may grow but not change. Fields a node does not know are passed over,
// and message types it does not know are answered with dht.ErrUnknownMessage. New
// frame types may only be sent to a node whose Hello shows that it knows them; an
// unknown one ends the stream. Anything else needs a new Protocol name. The files
// in testdata/golden pin the bytes; a test that compares them must never need a new
// golden file, but for messages that are new.
package wire
