package wire

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"dyschord/dht"
)

// AppendPayload writes what a request or reply frame carries behind dst: the
// contacts of all peers that m mentions, then its body. record looks a contact up
// by Ref; it is nil for one that is not known. m is only read. On an error dst is
// returned as it was.
func (c *Codec) AppendPayload(dst []byte, m dht.Message, record func(ref uint32) []byte) ([]byte, error) {
	out, err := appendContacts(dst, m, record)
	if err != nil {
		return dst, err
	}
	out, err = c.Append(out, m)
	if err != nil {
		return dst, err
	}
	return out, nil
}

func appendContacts(dst []byte, m dht.Message, record func(uint32) []byte) ([]byte, error) {
	g := gatherers.Get().(*gatherer)
	defer gatherers.Put(g)
	refs := g.refsOf(m)
	if len(refs) > dht.MaxPeers {
		return dst, fmt.Errorf("wire: message %d mentions %d peers, at most %d are allowed", m.Code(), len(refs), dht.MaxPeers)
	}
	dst = binary.AppendUvarint(dst, uint64(len(refs)))
	for _, ref := range refs {
		contact := record(ref)
		if contact == nil {
			return dst, fmt.Errorf("wire: message %d mentions a peer whose contact is not known", m.Code())
		}
		dst = binary.AppendUvarint(dst, uint64(ref))
		dst = binary.AppendUvarint(dst, uint64(len(contact)))
		dst = append(dst, contact...)
	}
	return dst, nil
}

// gatherer collects the Refs in a message. It is reused, since every message needs
// one and a closure for each would cost more than most messages.
type gatherer struct {
	refs  []uint32
	visit func(*dht.Peer)
}

var gatherers = sync.Pool{New: func() any {
	g := new(gatherer)
	g.visit = func(p *dht.Peer) {
		if p.Ref != 0 {
			g.refs = append(g.refs, p.Ref)
		}
	}
	return g
}}

// refsOf returns the distinct Refs of m in ascending order, good until the next call.
func (g *gatherer) refsOf(m dht.Message) []uint32 {
	g.refs = g.refs[:0]
	m.EachPeer(g.visit)
	slices.Sort(g.refs)
	g.refs = slices.Compact(g.refs)
	return g.refs
}

// DecodePayload reads what AppendPayload writes and puts the receiver's own Refs
// and identifiers into the message. intern turns a contact into a Peer; it is
// called once for each that the message mentions. A peer without contact makes the
// message malformed, and so does a contact that intern refuses.
func (c *Codec) DecodePayload(code uint16, payload []byte, intern func(record []byte) (dht.Peer, error)) (dht.Message, error) {
	table, body, err := splitContacts(payload)
	if err != nil {
		return nil, err
	}
	m, err := c.Decode(code, body)
	if err != nil {
		return nil, err
	}
	return m, table.translate(m, intern)
}

// contacts is the table of a payload, in ascending order of the sender's Refs.
type contacts []contact

type contact struct {
	ref    uint32
	record []byte   // nil once it was interned
	peer   dht.Peer // ID and Ref at the receiver
}

func splitContacts(b []byte) (contacts, []byte, error) {
	count, b, err := uvarint(b, dht.MaxPeers)
	if err != nil || count == 0 {
		return nil, b, err
	}
	table := make(contacts, count)
	last := uint64(0)
	for i := range table {
		var ref, size uint64
		if ref, b, err = uvarint(b, 1<<32-1); err != nil {
			return nil, nil, err
		}
		if ref <= last {
			return nil, nil, fmt.Errorf("wire: contacts out of order: %w", dht.ErrMalformed)
		}
		if size, b, err = uvarint(b, min(MaxRecord, uint64(len(b)))); err != nil {
			return nil, nil, err
		}
		if size == 0 || size > uint64(len(b)) {
			return nil, nil, fmt.Errorf("wire: a contact of %d bytes in %d: %w", size, len(b), dht.ErrMalformed)
		}
		table[i] = contact{ref: uint32(ref), record: b[:size]}
		b, last = b[size:], ref
	}
	return table, b, nil
}

func uvarint(b []byte, limit uint64) (uint64, []byte, error) {
	v, n := binary.Uvarint(b)
	if n <= 0 || v > limit {
		return 0, nil, fmt.Errorf("wire: a number in the contacts is cut off or beyond %d: %w", limit, dht.ErrMalformed)
	}
	return v, b[n:], nil
}

func (t contacts) translate(m dht.Message, intern func([]byte) (dht.Peer, error)) error {
	r := translators.Get().(*translator)
	r.table, r.intern, r.failed = t, intern, nil
	m.EachPeer(r.visit)
	err := r.failed
	r.table, r.intern, r.failed = nil, nil, nil
	translators.Put(r)
	return err
}

// translator puts the receiver's Refs into a message. It is reused, as gatherer is.
type translator struct {
	table  contacts
	intern func([]byte) (dht.Peer, error)
	failed error // the first
	visit  func(*dht.Peer)
}

var translators = sync.Pool{New: func() any {
	r := new(translator)
	r.visit = r.translate
	return r
}}

func (r *translator) translate(p *dht.Peer) {
	if p.Ref == 0 {
		*p = dht.Peer{}
		return
	}
	local, err := r.table.lookup(p.Ref, r.intern)
	if err != nil && r.failed == nil {
		r.failed = err
	}
	p.ID, p.Ref = local.ID, local.Ref
}

func (t contacts) lookup(ref uint32, intern func([]byte) (dht.Peer, error)) (dht.Peer, error) {
	i, found := slices.BinarySearchFunc(t, ref, func(c contact, ref uint32) int {
		return int(int64(c.ref) - int64(ref))
	})
	if !found {
		return dht.Peer{}, fmt.Errorf("wire: a peer without contact: %w", dht.ErrMalformed)
	}
	c := &t[i]
	if c.record != nil {
		peer, err := intern(c.record)
		if err != nil {
			return dht.Peer{}, err
		}
		c.peer, c.record = peer, nil
	}
	return c.peer, nil
}
