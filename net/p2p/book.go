package p2p

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"dyschord/dht"
	"dyschord/net/wire"
)

// book keeps the contacts of peers: one Ref per identity. It has a lock of its own,
// below all others, because readers and writers of streams use it outside the
// monitor.
type book struct {
	space dht.Space
	max   int

	mu       sync.RWMutex
	last     uint32
	rumours  int       // cards that are not verified
	full     time.Time // until when it is known that nothing can be evicted
	byRef    map[uint32]*card
	byPeer   map[peer.ID]*card
	byRecord map[string]*card // a card's present record, for contacts heard again and again
}

// card is what is known of one peer.
type card struct {
	ref      uint32
	id       dht.ID
	pid      peer.ID
	byHand   *dht.ID // the identifier where it was chosen
	addrs    []ma.Multiaddr
	record   []byte       // contact with these addresses
	verified bool         // the peer itself said so, and has been reachable there since
	held     bool         // a service held the peer at the last sweep
	used     atomic.Int64 // unix seconds
}

func (c *card) touch() { c.used.Store(time.Now().Unix()) }

// quiet says whether nobody mentioned the peer for that long.
func (c *card) quiet(now time.Time, d time.Duration) bool {
	return now.Unix()-c.used.Load() > int64(d/time.Second)
}

// grace is how long a contact is kept although no service is known to hold it: the
// message that brought it may still be looked at.
const grace = time.Minute

func newBook(space dht.Space, limit int) *book {
	return &book{
		space:    space,
		max:      limit,
		byRef:    map[uint32]*card{},
		byPeer:   map[peer.ID]*card{},
		byRecord: map[string]*card{},
	}
}

// hear takes a contact from another node's message, or from a disk.
func (b *book) hear(record []byte) (dht.Peer, error) {
	if p, known := b.again(record); known {
		return p, nil
	}
	contact, err := wire.DecodeContact(record)
	if err != nil {
		return dht.Peer{}, err
	}
	pid, err := peer.IDFromBytes(contact.Identity)
	if err != nil {
		return dht.Peer{}, fmt.Errorf("p2p: identity in a contact: %w: %w", dht.ErrMalformed, err)
	}
	addrs, err := parseRaw(contact.Addrs)
	if err != nil {
		return dht.Peer{}, err
	}
	return b.note(pid, addrs, contact.ID, false)
}

// again answers for a contact that is known in exactly this form.
func (b *book) again(record []byte) (dht.Peer, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	c := b.byRecord[string(record)]
	if c == nil {
		return dht.Peer{}, false
	}
	c.touch()
	return dht.Peer{ID: c.id, Ref: c.ref}, true
}

// meet takes what the peer itself says of its addresses.
func (b *book) meet(pid peer.ID, addrs []ma.Multiaddr, byHand *dht.ID) (dht.Peer, error) {
	return b.note(pid, addrs, byHand, true)
}

func (b *book) note(pid peer.ID, addrs []ma.Multiaddr, byHand *dht.ID, self bool) (dht.Peer, error) {
	id, err := b.identifier(pid, byHand)
	if err != nil {
		return dht.Peer{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.byPeer[pid]
	switch {
	case c != nil:
		before := c.verified
		if c.update(id, byHand, addrs, self) {
			b.index(c)
		}
		b.count(before, c.verified)
	case !b.room(self):
		return dht.Peer{}, fmt.Errorf("p2p: %d contacts are kept, no more of peers only heard of: %w", len(b.byRef), dht.ErrBusy)
	default:
		b.last++
		c = &card{ref: b.last, pid: pid, id: id, byHand: byHand, addrs: addrs, verified: self}
		b.byRef[c.ref], b.byPeer[pid] = c, c
		b.count(true, c.verified)
		b.index(c)
	}
	c.touch()
	return dht.Peer{ID: c.id, Ref: c.ref}, nil
}

// count follows the number of cards that are not verified. The caller holds the lock.
func (b *book) count(before, after bool) {
	switch {
	case before && !after:
		b.rumours++
	case !before && after:
		b.rumours--
	}
}

// room sees to it that there is room for one more card. A peer that is here itself
// displaces any that nobody holds. Those only heard of get half of the book at most,
// and displace each other once nobody mentions them any more; to look for one of
// these takes long, so it is done in vain once in a second at most. The caller holds
// the lock.
func (b *book) room(self bool) bool {
	if self {
		return len(b.byRef) < b.max || b.evict(func(*card) bool { return true })
	}
	if len(b.byRef) < b.max && b.rumours < b.max/2 {
		return true
	}
	now := time.Now()
	if now.Before(b.full) {
		return false
	}
	if b.evict(func(c *card) bool { return !c.verified && c.quiet(now, grace) }) {
		return true
	}
	b.full = now.Add(time.Second)
	return false
}

// update merges news into a card and says whether anything changed. What others
// say never displaces what the peer itself said, while that works.
func (c *card) update(id dht.ID, byHand *dht.ID, addrs []ma.Multiaddr, self bool) bool {
	if c.verified && !self {
		return false
	}
	if !self {
		addrs = merge(addrs, c.addrs)
	}
	changed := c.id != id || !slices.EqualFunc(c.addrs, addrs, ma.Multiaddr.Equal)
	if byHand != nil || self {
		c.id, c.byHand = id, byHand
	}
	c.addrs, c.verified = addrs, self
	return changed
}

// merge puts the newer addresses first and keeps as many as a contact may have.
func merge(newer, older []ma.Multiaddr) []ma.Multiaddr {
	merged := slices.Clone(newer)
	for _, a := range older {
		if len(merged) < wire.MaxAddrs && !ma.Contains(merged, a) {
			merged = append(merged, a)
		}
	}
	return merged
}

// index makes the record of c anew. The caller holds the lock.
func (b *book) index(c *card) {
	if c.record != nil {
		delete(b.byRecord, string(c.record))
	}
	record, err := wire.Contact{Identity: []byte(c.pid), Addrs: rawAddrs(c.addrs), ID: c.byHand}.Encode()
	if err != nil {
		panic(fmt.Sprintf("p2p: a contact that was checked cannot be written: %v", err))
	}
	c.record = record
	b.byRecord[string(record)] = c
}

// identifier computes where a peer stands. Only narrow spaces believe a choice.
func (b *book) identifier(pid peer.ID, byHand *dht.ID) (dht.ID, error) {
	if byHand == nil {
		return b.space.KeyID([]byte(pid)), nil
	}
	if !narrow(b.space) || !b.space.Contains(*byHand) {
		return dht.ID{}, fmt.Errorf("p2p: %s chooses the identifier %s: %w", pid, *byHand, dht.ErrMalformed)
	}
	return *byHand, nil
}

// evict drops the contact that was used longest ago of those which nobody holds and
// which may go.
func (b *book) evict(may func(*card) bool) bool {
	var oldest *card
	for _, c := range b.byRef {
		if !c.held && may(c) && (oldest == nil || c.used.Load() < oldest.used.Load()) {
			oldest = c
		}
	}
	if oldest == nil {
		return false
	}
	b.drop(oldest)
	return true
}

func (b *book) drop(c *card) {
	delete(b.byRef, c.ref)
	delete(b.byPeer, c.pid)
	delete(b.byRecord, string(c.record))
	b.count(c.verified, true)
}

// record returns the contact of a peer, nil if it is not known (any more).
func (b *book) record(ref uint32) []byte {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if c := b.byRef[ref]; c != nil {
		return c.record
	}
	return nil
}

// where returns a peer's identity and addresses.
func (b *book) where(ref uint32) (pid peer.ID, addrs []ma.Multiaddr, known bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if c := b.byRef[ref]; c != nil {
		return c.pid, c.addrs, true
	}
	return "", nil, false
}

// doubt notes that a peer was not reachable at its addresses: from now on others
// may know better.
func (b *book) doubt(ref uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.byRef[ref]; c != nil {
		b.count(c.verified, false)
		c.verified = false
	}
}

// touch notes that a peer is in use.
func (b *book) touch(ref uint32) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if c := b.byRef[ref]; c != nil {
		c.touch()
	}
}

// knows says whether there is a contact of an identity.
func (b *book) knows(pid peer.ID) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.byPeer[pid] != nil
}

// sweep forgets the contacts that nobody holds and nobody mentioned for a while.
func (b *book) sweep(held map[uint32]bool, now time.Time) (forgotten []peer.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ref, c := range b.byRef {
		c.held = held[ref]
		if !c.held && c.quiet(now, 10*grace) {
			b.drop(c)
			forgotten = append(forgotten, c.pid)
		}
	}
	return forgotten
}

// keep holds a contact for ever: this node's own.
func (b *book) keep(ref uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.byRef[ref].held = true
}

func (b *book) size() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.byRef)
}
