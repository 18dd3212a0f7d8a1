package kademlia

import (
	"fmt"

	"dyschord/dht"
)

// Codes of the messages, from this package's range 64-79. Lookups have their own.
const (
	codePing   = 64
	codePong   = 65
	codeNear   = 66
	codeNearby = 67
	codeLeave  = 68
)

// ping asks whether a member is there (the paper's PING).
type ping struct{}

// pong answers ping and leave.
type pong struct{}

// near asks for the peers closest to a target (the paper's FIND_NODE), for the
// sender's own tables: those it has need not be named again.
type near struct {
	Target dht.ID     `cbor:"1,keyasint"`
	N      uint8      `cbor:"2,keyasint,omitempty"` // most peers wanted, 0 to 32
	Salt   uint32     `cbor:"3,keyasint,omitempty"` // of the marks
	Known  []byte     `cbor:"4,keyasint,omitempty"` // marks of the peers that the sender has, two bytes each
	Empty  dht.ID     `cbor:"5,keyasint,omitempty"` // bit i: the sender's bucket i is empty
	Lost   []dht.Peer `cbor:"6,keyasint,omitempty"` // found dead a moment ago
}

// nearby answers near.
type nearby struct {
	Peers []dht.Peer `cbor:"1,keyasint,omitempty"`
	Lost  []dht.Peer `cbor:"2,keyasint,omitempty"`
}

// leave says good-bye.
type leave struct{}

func (*ping) Code() uint16   { return codePing }
func (*pong) Code() uint16   { return codePong }
func (*near) Code() uint16   { return codeNear }
func (*nearby) Code() uint16 { return codeNearby }
func (*leave) Code() uint16  { return codeLeave }

func (*ping) EachPeer(func(*dht.Peer))  {}
func (*pong) EachPeer(func(*dht.Peer))  {}
func (*leave) EachPeer(func(*dht.Peer)) {}

func (m *near) EachPeer(f func(*dht.Peer)) { each(m.Lost, f) }

func (m *nearby) EachPeer(f func(*dht.Peer)) {
	each(m.Peers, f)
	each(m.Lost, f)
}

func each(list []dht.Peer, f func(*dht.Peer)) {
	for i := range list {
		f(&list[i])
	}
}

// kinds lists the messages of Kademlia's upkeep.
func kinds() []dht.Kind {
	return []dht.Kind{
		{Code: codePing, Name: "kademlia_ping", New: func() dht.Message { return new(ping) }},
		{Code: codePong, Name: "kademlia_pong", New: func() dht.Message { return new(pong) }},
		{Code: codeNear, Name: "kademlia_near", New: func() dht.Message { return new(near) }},
		{Code: codeNearby, Name: "kademlia_nearby", New: func() dht.Message { return new(nearby) }},
		{Code: codeLeave, Name: "kademlia_leave", New: func() dht.Message { return new(leave) }},
	}
}

const (
	maxNews   = 8                 // lost peers in a message
	maxNearby = 2 * dht.MaxOwners // peers in an answer: those wanted, and some for empty buckets
	maxKnown  = 2 * dht.MaxOwners // bytes of marks
)

func (m *near) validate() error {
	if m.N > dht.MaxOwners || len(m.Known) > maxKnown || len(m.Known)%2 != 0 {
		return fmt.Errorf("kademlia: near for %d peers with %d bytes of marks, at most %d and %d are allowed: %w",
			m.N, len(m.Known), dht.MaxOwners, maxKnown, dht.ErrMalformed)
	}
	return validList(m.Lost, maxNews)
}

func (m *nearby) validate() error {
	if err := validList(m.Peers, maxNearby); err != nil {
		return err
	}
	return validList(m.Lost, maxNews)
}

func validList(list []dht.Peer, most int) error {
	if len(list) > most {
		return fmt.Errorf("kademlia: a list of %d peers, at most %d are allowed: %w", len(list), most, dht.ErrMalformed)
	}
	for _, p := range list {
		if p.IsZero() {
			return fmt.Errorf("kademlia: a list with nobody in it: %w", dht.ErrMalformed)
		}
	}
	return nil
}

// mark stands for an identifier in near.Known: two bytes that tell one peer from
// another nearly always, and where they do not, do with the next salt.
func mark(id dht.ID, salt uint32) uint16 {
	x := id.Hi()*0x9e3779b97f4a7c15 ^ id.Lo() ^ uint64(salt)<<32 ^ uint64(salt)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return uint16(x >> 48)
}

// marks are what near.Known holds for a list of peers.
func marks(list []dht.Peer, salt uint32) []byte {
	out := make([]byte, 0, 2*min(len(list), dht.MaxOwners))
	for _, p := range list[:min(len(list), dht.MaxOwners)] {
		m := mark(p.ID, salt)
		out = append(out, byte(m>>8), byte(m))
	}
	return out
}

// knows says whether the sender of m has id, by its marks.
func (m *near) knows(id dht.ID) bool {
	want := mark(id, m.Salt)
	for i := 0; i+1 < len(m.Known); i += 2 {
		if uint16(m.Known[i])<<8|uint16(m.Known[i+1]) == want {
			return true
		}
	}
	return false
}
