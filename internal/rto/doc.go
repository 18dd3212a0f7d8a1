// Package rto decides how long to wait for the answer to a request, as a node in
// the field can: from round trips it has measured itself and from nothing else.
// Both worlds use it, net/p2p with real clocks and net/simnet with virtual ones, so
// that a simulated node gives up exactly when a real one would.
//
// The estimate is that of RFC 6298 (smoothed round trip and mean deviation), kept
// for each of the peers talked to most recently and once for all peers together;
// the latter serves for strangers. Only answers that wait for nothing teach it
// ([dht.Never]); a request whose handler waits for a disk gets a fixed allowance on
// top, and one that waits for other nodes has only a ceiling: its caller looks after
// the connection instead. A request that was given up doubles the peer's
// time-out until the peer answers again, late answers included.
//
// A [Table] takes at most 300 bytes, whatever the number of peers.
package rto
