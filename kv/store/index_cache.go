package store

import "encoding/binary"

// indexCache remembers which versions the index of a store names, for the keys that
// were written last. A batch that moves the index must know the version before, to
// prune it; reading that from Pebble's tables takes longer than all the rest of Apply,
// and Apply runs for one batch at a time.
//
// It holds what is true after the last batch that was applied; the caller holds the
// writer's lock. When it is full, entries make room at random: of keys written in
// turns more stay so than if the oldest went.
type indexCache struct {
	r     reader
	limit int64 // bytes; none: nothing is remembered
	bytes int64
	slots map[uint32]*slotIndex
	seen  map[uint32]bool // slots that were loaded, remembered or not
}

// slotIndex is what is remembered of the index of one slot.
type slotIndex struct {
	seqs  map[string]uint64 // by key; 0: the index does not have it
	whole bool              // what is not in seqs is not in the index
}

func newIndexCache(r reader, limit int64) *indexCache {
	return &indexCache{r: r, limit: limit, slots: make(map[uint32]*slotIndex), seen: make(map[uint32]bool)}
}

// find is a finder.
func (c *indexCache) find(at []byte) (uint64, error) {
	if c.limit <= 0 {
		return seqAt(c.r, at)
	}
	slot := binary.BigEndian.Uint32(at[1:])
	if !c.seen[slot] {
		c.load(slot)
	}
	if s := c.slots[slot]; s != nil {
		if seq, ok := s.seqs[string(at[slotEnd:])]; ok || s.whole {
			return seq, nil
		}
	}
	seq, err := seqAt(c.r, at)
	if err != nil {
		return 0, err
	}
	c.put(slot, string(at[slotEnd:]), seq)
	return seq, nil
}

// load reads the index of a slot if it is short. New keys, the most of a slot that
// begins, then need no further read. What it cannot read it leaves to others.
func (c *indexCache) load(slot uint32) {
	const short = 128
	c.forget(slot)
	left := short
	for p, err := range c.r.scan(slotSpan(prefixIndex, slot)) {
		seq, bad := decodeSeq(p.value)
		if err != nil || bad != nil || left == 0 {
			c.partly(slot)
			return
		}
		c.put(slot, string(p.key[slotEnd:]), seq)
		left--
	}
}

// applied takes over what a batch did.
func (c *indexCache) applied(p *plan) {
	if c.limit <= 0 {
		return
	}
	for slot := range p.dropped {
		c.forget(slot)
	}
	for at, seq := range p.index {
		c.put(binary.BigEndian.Uint32([]byte(at[1:slotEnd])), at[slotEnd:], seq)
	}
}

// forget begins a slot anew, with an empty index.
func (c *indexCache) forget(slot uint32) {
	if s := c.slots[slot]; s != nil {
		for key := range s.seqs {
			c.bytes -= cost(key)
		}
	}
	c.slots[slot] = &slotIndex{seqs: make(map[string]uint64), whole: true}
	c.seen[slot] = true
}

// partly notes that more is in the index of a slot than is remembered.
func (c *indexCache) partly(slot uint32) {
	if s := c.slots[slot]; s != nil {
		s.whole = false
	}
}

func (c *indexCache) put(slot uint32, key string, seq uint64) {
	if s := c.slots[slot]; s != nil {
		if _, ok := s.seqs[key]; ok {
			s.seqs[key] = seq
			return
		}
	}
	if !c.makeRoom(cost(key)) {
		c.partly(slot)
		return
	}
	s := c.slots[slot]
	if s == nil {
		s = &slotIndex{seqs: make(map[string]uint64)}
		c.slots[slot] = s
	}
	s.seqs[key] = seq
}

// makeRoom takes n bytes of the limit, if that has so many.
func (c *indexCache) makeRoom(n int64) bool {
	if n > c.limit {
		return false
	}
	for c.bytes+n > c.limit {
		for slot, s := range c.slots {
			c.evict(slot, s)
			if c.bytes+n <= c.limit {
				break
			}
		}
	}
	c.bytes += n
	return true
}

// evict takes an entry away from a slot, or else the slot.
func (c *indexCache) evict(slot uint32, s *slotIndex) {
	for key := range s.seqs {
		delete(s.seqs, key)
		c.bytes -= cost(key)
		s.whole = false
		return
	}
	delete(c.slots, slot)
}

// cost estimates the bytes that an entry takes.
func cost(key string) int64 {
	const overhead = 72 // header of the string, seq, the map's own
	return overhead + int64(len(key))
}
