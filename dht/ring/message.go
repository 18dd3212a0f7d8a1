package ring

import (
	"fmt"

	"dyschord/dht"
)

// Codes of the messages, from this package's range 32-47.
const (
	codeRead   = 32
	codeState  = 33
	codeNotify = 34
	codeLeave  = 35
	codePing   = 36
	codeHere   = 37
)

// read asks a member for its place in the ring.
type read struct{}

// state answers read: a consistent picture of one moment.
type state struct {
	Pred dht.Peer   `cbor:"1,keyasint"` // perhaps nobody
	Succ []dht.Peer `cbor:"2,keyasint,omitempty"`
}

// notify says: I take you for my successor.
type notify struct{}

// leave says good-bye with the leaver's neighbours.
type leave struct {
	Pred dht.Peer   `cbor:"1,keyasint"`
	Succ []dht.Peer `cbor:"2,keyasint,omitempty"`
}

// ping asks whether a member is there.
type ping struct{}

// here answers ping, notify and leave.
type here struct{}

func (*read) Code() uint16   { return codeRead }
func (*state) Code() uint16  { return codeState }
func (*notify) Code() uint16 { return codeNotify }
func (*leave) Code() uint16  { return codeLeave }
func (*ping) Code() uint16   { return codePing }
func (*here) Code() uint16   { return codeHere }

func (*read) EachPeer(func(*dht.Peer))   {}
func (*notify) EachPeer(func(*dht.Peer)) {}
func (*ping) EachPeer(func(*dht.Peer))   {}
func (*here) EachPeer(func(*dht.Peer))   {}

func (m *state) EachPeer(f func(*dht.Peer)) {
	f(&m.Pred)
	for i := range m.Succ {
		f(&m.Succ[i])
	}
}

func (m *leave) EachPeer(f func(*dht.Peer)) {
	f(&m.Pred)
	for i := range m.Succ {
		f(&m.Succ[i])
	}
}

// Kinds lists the messages of ring upkeep.
func (r *Ring) Kinds() []dht.Kind {
	return []dht.Kind{
		{Code: codeRead, Name: "ring_read", New: func() dht.Message { return new(read) }},
		{Code: codeState, Name: "ring_state", New: func() dht.Message { return new(state) }},
		{Code: codeNotify, Name: "ring_notify", New: func() dht.Message { return new(notify) }},
		{Code: codeLeave, Name: "ring_leave", New: func() dht.Message { return new(leave) }},
		{Code: codePing, Name: "ring_ping", New: func() dht.Message { return new(ping) }},
		{Code: codeHere, Name: "ring_here", New: func() dht.Message { return new(here) }},
	}
}

// validList refuses a successor list that is too long, out of order, repeats a
// peer or holds its owner or nobody.
func validList(s dht.Space, owner dht.Peer, list []dht.Peer) error {
	if len(list) > dht.MaxOwners {
		return fmt.Errorf("ring: %d successors of %s, at most %d are allowed: %w", len(list), owner, dht.MaxOwners, dht.ErrMalformed)
	}
	var last dht.ID
	for i, p := range list {
		distance := s.Sub(p.ID, owner.ID)
		if p.IsZero() || p.Same(owner) || !last.Less(distance) {
			return fmt.Errorf("ring: successor %d of %s is %s, out of order: %w", i, owner, p, dht.ErrMalformed)
		}
		last = distance
	}
	return nil
}
