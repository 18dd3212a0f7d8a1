package kv

import (
	"time"

	"dyschord/dht"
)

// Errors of the key-value layer; their codes cross the wire. Those of dht come up
// as well.
var (
	// ErrNotFound: the key has no value. A linearizable statement, not ignorance.
	ErrNotFound = &dht.Error{Code: 256, Text: "key not found"}
	// ErrUnavailable: no majority of the key's replicas answered, or nobody knows who
	// they are. A write with this error was not applied. Retry later.
	ErrUnavailable = &dht.Error{Code: 257, Text: "no majority of the replicas is reachable"}
	// ErrUnknown: the write may or may not have been applied. Read before retrying.
	ErrUnknown = &dht.Error{Code: 258, Text: "the outcome of the write is not known"}
	// ErrBadKey: the key is empty or longer than MaxKey.
	ErrBadKey = &dht.Error{Code: 259, Text: "a key has 1 to 1024 bytes"}
	// ErrTooLarge: the value is longer than the cluster's limit.
	ErrTooLarge = &dht.Error{Code: 260, Text: "the value is too large"}
	// ErrFull: a replica's disk is full. Not applied. Delete something, or add disks.
	ErrFull = &dht.Error{Code: 261, Text: "no room on the disks of the replicas"}
	// ErrOverloaded: a bounded queue is full. Not applied. Back off, then retry.
	ErrOverloaded = &dht.Error{Code: 262, Text: "overloaded"}
	// ErrLeaving: the node is leaving the cluster. Not applied. Ask another node.
	ErrLeaving = &dht.Error{Code: 263, Text: "the node is leaving"}
)

// MaxKey is the longest key, in bytes. The shortest has one.
const MaxKey = 1024

// Item is a committed value.
type Item struct {
	Value    []byte
	Type     string // content type given at the write
	Version  uint64 // grows with every write of the key; unique within its slot
	Modified time.Time
}

// Put is a value to be stored.
type Put struct {
	Value []byte
	Type  string // content type, at most 256 bytes
}

// Written is the outcome of a write that was applied.
type Written struct {
	Version  uint64
	Existed  bool // there was a value before
	Acks     int  // replicas that had it on disk when it was acknowledged
	Replicas int  // of how many
}

// Path says how an operation reached the key's slot.
type Path struct {
	Slot  uint32   // the part of the identifier space the key is in
	Owner dht.Peer // the node that answered
	Hops  int      // forwarding hops of the lookup; 0 when the members were known
}
