package kv

import (
	"encoding/binary"
	"fmt"

	"dyschord/dht"
)

// configuration is one link of a slot's chain: who holds the slot in one epoch, and
// where the sequence of the epoch before was cut.
type configuration struct {
	Epoch   uint64     `cbor:"1,keyasint"` // from 1
	Members []dht.Peer `cbor:"2,keyasint"` // 1 to maxMembers distinct peers without incarnations
	Primary uint8      `cbor:"3,keyasint"` // numbers the writes: an index in Members
	Cut     uint64     `cbor:"4,keyasint"` // the last version of the epoch before that counts
}

// maxMembers bounds the members of one configuration: the replicas wanted, and as
// many that are on their way out.
const maxMembers = 2 * MaxReplicas

func (c *configuration) primary() dht.Peer { return c.Members[c.Primary] }

// index returns p's place among the members, or -1.
func (c *configuration) index(p dht.Peer) int {
	for i, m := range c.Members {
		if m.Same(p) {
			return i
		}
	}
	return -1
}

func (c *configuration) has(p dht.Peer) bool { return c.index(p) >= 0 }

// majority is how many members make a majority.
func (c *configuration) majority() int { return len(c.Members)/2 + 1 }

func (c *configuration) eachPeer(f func(*dht.Peer)) {
	for i := range c.Members {
		f(&c.Members[i])
	}
}

// normal returns c without incarnations: a member is an identity, and a restart
// does not change who is a member.
func (c configuration) normal() configuration {
	members := make([]dht.Peer, len(c.Members))
	for i, m := range c.Members {
		members[i] = plain(m)
	}
	c.Members = members
	return c
}

// check refuses what cannot be a configuration.
func (c *configuration) check() error {
	if c.Epoch == 0 || len(c.Members) == 0 || len(c.Members) > maxMembers || int(c.Primary) >= len(c.Members) {
		return fmt.Errorf("%w: epoch %d with %d members and primary %d", dht.ErrMalformed, c.Epoch, len(c.Members), c.Primary)
	}
	for i, m := range c.Members {
		if m.IsZero() || c.index(m) != i {
			return fmt.Errorf("%w: epoch %d names %s twice, or nobody", dht.ErrMalformed, c.Epoch, m)
		}
	}
	return nil
}

// same says whether c and o are one value.
func (c *configuration) same(o *configuration) bool {
	if c.Epoch != o.Epoch || c.Primary != o.Primary || c.Cut != o.Cut || len(c.Members) != len(o.Members) {
		return false
	}
	for i, m := range c.Members {
		if !m.Same(o.Members[i]) {
			return false
		}
	}
	return true
}

// plain is p as an identity, without the incarnation.
func plain(p dht.Peer) dht.Peer { return dht.Peer{ID: p.ID, Ref: p.Ref} }

// ballot orders the proposals for the end of one epoch. The zero ballot is below
// all others. N comes first; the proposer and its run make it unique.
type ballot struct {
	N    uint64 `cbor:"1,keyasint,omitempty"`
	Peer dht.ID `cbor:"2,keyasint"`
	Boot uint32 `cbor:"3,keyasint,omitempty"`
}

func (b ballot) isZero() bool { return b == ballot{} }

func (b ballot) less(o ballot) bool {
	if b.N != o.N {
		return b.N < o.N
	}
	if c := b.Peer.Cmp(o.Peer); c != 0 {
		return c < 0
	}
	return b.Boot < o.Boot
}

// vote is a value that was accepted at a ballot.
type vote struct {
	Ballot ballot        `cbor:"1,keyasint"`
	Value  configuration `cbor:"2,keyasint"`
}

// state is what a node keeps on its disk for a slot beside the log and the index.
//
// The log is a prefix of the sequence of epoch Tag, up to its last record, unless
// Dirty: then only its records up to Base are.
type state struct {
	Cfg   configuration  // installed last; Epoch 0 if none ever was
	Next  *configuration // decided, later than Cfg, not installed here
	Prom  ballot         // no lower ballot is promised or accepted any more, for the end of Cfg
	Acc   *vote          // accepted last, for the end of Cfg
	Com   uint64         // every version up to here is committed: a lower bound
	Tag   uint64         // the epoch whose sequence the log is a prefix of; 0 for an empty log of none
	Dirty bool           // a copy is being received
	Base  uint64         // while Dirty: the end of the part that can be relied on
}

const stateFormat = 1

// encode writes the state; members are written as their identifiers, which name
// contacts that the node keeps once.
func (s *state) encode() []byte {
	b := append(make([]byte, 0, 192), stateFormat)
	b = appendConfiguration(b, &s.Cfg)
	b = appendOptional(b, s.Next)
	b = appendBallot(b, s.Prom)
	if s.Acc == nil {
		b = append(b, 0)
	} else {
		b = appendBallot(append(b, 1), s.Acc.Ballot)
		b = appendConfiguration(b, &s.Acc.Value)
	}
	b = binary.AppendUvarint(b, s.Com)
	b = binary.AppendUvarint(b, s.Tag)
	if !s.Dirty {
		return append(b, 0)
	}
	return binary.AppendUvarint(append(b, 1), s.Base)
}

func appendOptional(b []byte, c *configuration) []byte {
	if c == nil {
		return append(b, 0)
	}
	return appendConfiguration(append(b, 1), c)
}

func appendConfiguration(b []byte, c *configuration) []byte {
	b = binary.AppendUvarint(b, c.Epoch)
	b = append(b, byte(len(c.Members)), c.Primary)
	for _, m := range c.Members {
		b = appendID(b, m.ID)
	}
	return binary.AppendUvarint(b, c.Cut)
}

func appendBallot(b []byte, x ballot) []byte {
	return binary.AppendUvarint(appendID(binary.AppendUvarint(b, x.N), x.Peer), uint64(x.Boot))
}

func appendID(b []byte, id dht.ID) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, id.Hi()), id.Lo())
}

// decodeState reads what encode wrote. resolve turns an identifier into the peer
// whose contact is stored for it.
func decodeState(b []byte, resolve func(dht.ID) (dht.Peer, error)) (state, error) {
	r := stateReader{b: b, resolve: resolve}
	if format := r.byte(); format != stateFormat && r.err == nil {
		return state{}, fmt.Errorf("state of format %d: format %d is known", format, stateFormat)
	}
	s := state{Cfg: r.configuration()}
	if r.byte() == 1 {
		next := r.configuration()
		s.Next = &next
	}
	s.Prom = r.ballot()
	if r.byte() == 1 {
		s.Acc = &vote{Ballot: r.ballot(), Value: r.configuration()}
	}
	s.Com, s.Tag = r.number(), r.number()
	if r.byte() == 1 {
		s.Dirty, s.Base = true, r.number()
	}
	if r.err == nil && len(r.b) > 0 {
		r.err = fmt.Errorf("%d bytes too many", len(r.b))
	}
	return s, r.err
}

type stateReader struct {
	b       []byte
	resolve func(dht.ID) (dht.Peer, error)
	err     error
}

func (r *stateReader) take(n int) []byte {
	if r.err == nil && len(r.b) < n {
		r.err = fmt.Errorf("state ends %d bytes early", n-len(r.b))
	}
	if r.err != nil {
		return make([]byte, n)
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

func (r *stateReader) byte() byte { return r.take(1)[0] }

func (r *stateReader) number() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		n = len(r.b) + 1
	}
	r.take(n)
	return v
}

func (r *stateReader) id() dht.ID {
	b := r.take(16)
	return dht.NewID(binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]))
}

func (r *stateReader) ballot() ballot {
	return ballot{N: r.number(), Peer: r.id(), Boot: uint32(r.number())}
}

func (r *stateReader) configuration() configuration {
	c := configuration{Epoch: r.number()}
	n := int(r.byte())
	c.Primary = r.byte()
	for i := 0; i < n && r.err == nil; i++ {
		p, err := r.resolve(r.id())
		if r.err == nil && err != nil {
			r.err = err
		}
		c.Members = append(c.Members, p)
	}
	c.Cut = r.number()
	return c
}
