package kv

import "time"

// Operated is the event at the end of every operation of a client, at the node
// that the client asked.
type Operated struct {
	Op   string // get, put or delete
	Err  error
	Took time.Duration
}

// Synced is the event after the disk was waited for, for several changes at once.
type Synced struct {
	Changes int
	Took    time.Duration
}

// Decided is the event at a proposer that ended an epoch.
type Decided struct {
	Slot  uint32
	Epoch uint64 // the new one
	Cause string // one of Causes
}

// Causes lists why an epoch is ended, as Decided has it.
func Causes() []string {
	var names []string
	for c := causeNone + 1; c <= causeFrozen; c++ {
		names = append(names, c.String())
	}
	return names
}

// Installed is the event at a node that has become a member in an epoch.
type Installed struct {
	Slot    uint32
	Epoch   uint64
	Members int
}

// Copied is the event at a node that has received a copy of a slot.
type Copied struct {
	Slot  uint32
	Bytes int
	Pages int
	Took  time.Duration
}

// Abandoned is the event at a node that gave up receiving a copy.
type Abandoned struct {
	Slot uint32
}

// Released is the event at a node that dropped a slot which others hold now.
type Released struct {
	Slot  uint32
	Epoch uint64
}

// String names the operation.
func (o opCode) String() string {
	switch o {
	case opGet:
		return "get"
	case opPut:
		return "put"
	}
	return "delete"
}
