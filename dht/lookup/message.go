package lookup

import (
	"fmt"

	"dyschord/dht"
)

// Codes of the messages, from this package's range 16-31.
const (
	codeFind    = 16
	codeFound   = 17
	codeSuspect = 18
	codeForward = 19
	codeArrived = 20
	codeAck     = 21
)

// role is what the sender takes the receiver for.
type role uint8

const (
	onTheWay role = iota // a step of the approach, to be asked with the state
	atStart              // where the lookup starts: the state is the receiver's own
	atOwner              // a named owner
)

// find asks for the next candidates or the owners.
type find[S comparable] struct {
	Key   dht.ID `cbor:"1,keyasint"`
	State S      `cbor:"2,keyasint,omitempty"`
	Role  role   `cbor:"3,keyasint,omitempty"`
	N     uint8  `cbor:"4,keyasint"` // most candidates, and most owners, in the answer

	index int16 // of the candidate in the sender's search, and which try this is:
	try   int8  // not sent
}

// found answers find.
type found[S comparable] struct {
	Steps  []Step[S]  `cbor:"1,keyasint,omitempty"`
	Owners []dht.Peer `cbor:"2,keyasint,omitempty"`
}

// suspect tells a node that a peer it had named did not answer.
type suspect struct {
	Peer dht.Peer `cbor:"1,keyasint"`
}

// forward hands over a recursive lookup. It is acknowledged at once.
type forward[S comparable] struct {
	Find   find[S]  `cbor:"1,keyasint"`
	Origin dht.Peer `cbor:"2,keyasint"`
	Number uint64   `cbor:"3,keyasint"` // the origin's name for the lookup
	Trail  trail    `cbor:"4,keyasint"`
	Left   uint32   `cbor:"5,keyasint,omitempty"` // milliseconds until the origin gives it up
}

// trail is what a recursive lookup has met so far.
type trail struct {
	Hops     []move `cbor:"1,keyasint,omitempty"`
	Messages uint32 `cbor:"2,keyasint,omitempty"`
	Timeouts uint32 `cbor:"3,keyasint,omitempty"`
}

// move is one hop of a trail.
type move struct {
	Peer dht.Peer   `cbor:"1,keyasint"`
	Why  dht.Reason `cbor:"2,keyasint,omitempty"`
}

// arrived ends a recursive lookup at its origin. Without owners it has failed.
type arrived struct {
	Number uint64     `cbor:"1,keyasint"`
	Owners []dht.Peer `cbor:"2,keyasint,omitempty"`
	Trail  trail      `cbor:"3,keyasint"`
	Busy   bool       `cbor:"4,keyasint,omitempty"` // it failed because all who were left were busy
}

// ack says that a message has been taken.
type ack struct{}

func (*find[S]) Code() uint16    { return codeFind }
func (*found[S]) Code() uint16   { return codeFound }
func (*suspect) Code() uint16    { return codeSuspect }
func (*forward[S]) Code() uint16 { return codeForward }
func (*arrived) Code() uint16    { return codeArrived }
func (*ack) Code() uint16        { return codeAck }

func (*find[S]) EachPeer(func(*dht.Peer)) {}

func (m *found[S]) EachPeer(f func(*dht.Peer)) {
	for i := range m.Steps {
		f(&m.Steps[i].Peer)
	}
	for i := range m.Owners {
		f(&m.Owners[i])
	}
}

func (m *suspect) EachPeer(f func(*dht.Peer)) { f(&m.Peer) }

func (m *forward[S]) EachPeer(f func(*dht.Peer)) {
	f(&m.Origin)
	m.Trail.eachPeer(f)
}

func (m *arrived) EachPeer(f func(*dht.Peer)) {
	for i := range m.Owners {
		f(&m.Owners[i])
	}
	m.Trail.eachPeer(f)
}

func (*ack) EachPeer(func(*dht.Peer)) {}

func (t *trail) eachPeer(f func(*dht.Peer)) {
	for i := range t.Hops {
		f(&t.Hops[i].Peer)
	}
}

// Kinds lists the messages of lookups.
func (d *Driver[S]) Kinds() []dht.Kind {
	return []dht.Kind{
		{Code: codeFind, Name: "find", New: func() dht.Message { return new(find[S]) }},
		{Code: codeFound, Name: "found", New: func() dht.Message { return new(found[S]) }},
		{Code: codeSuspect, Name: "suspect", New: func() dht.Message { return new(suspect) }},
		{Code: codeForward, Name: "forward", New: func() dht.Message { return new(forward[S]) }},
		{Code: codeArrived, Name: "arrived", New: func() dht.Message { return new(arrived) }},
		{Code: codeAck, Name: "lookup_ack", New: func() dht.Message { return new(ack) }},
	}
}

func (m *find[S]) validate() error {
	if m.Role > atOwner || m.N == 0 || m.N > dht.MaxOwners {
		return fmt.Errorf("lookup: find with role %d for %d peers: %w", m.Role, m.N, dht.ErrMalformed)
	}
	return nil
}

// validate refuses an answer with more than was asked for, and the one that answers, or
// with nobody in it.
func (m *found[S]) validate(n uint8) error {
	bad := len(m.Steps) > int(n) || len(m.Owners) > int(n)+1 || anyZero(m.Owners)
	for i := range m.Steps {
		bad = bad || m.Steps[i].Peer.IsZero()
	}
	if bad {
		return fmt.Errorf("lookup: answer with %d steps and %d owners for %d: %w", len(m.Steps), len(m.Owners), n, dht.ErrMalformed)
	}
	return nil
}

func (t *trail) validate() error {
	bad := len(t.Hops) > maxHops
	for i := range t.Hops {
		bad = bad || t.Hops[i].Peer.IsZero()
	}
	if bad {
		return fmt.Errorf("lookup: trail of %d hops: %w", len(t.Hops), dht.ErrMalformed)
	}
	return nil
}

func (m *forward[S]) validate() error {
	if m.Origin.IsZero() {
		return fmt.Errorf("lookup: forward without an origin: %w", dht.ErrMalformed)
	}
	return m.Trail.validate()
}

func (m *arrived) validate() error {
	if len(m.Owners) > dht.MaxOwners || anyZero(m.Owners) {
		return fmt.Errorf("lookup: arrival with %d owners: %w", len(m.Owners), dht.ErrMalformed)
	}
	return m.Trail.validate()
}

func anyZero(peers []dht.Peer) bool {
	for _, p := range peers {
		if p.IsZero() {
			return true
		}
	}
	return false
}
