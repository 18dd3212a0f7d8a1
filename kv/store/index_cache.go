package store

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
	limit int64 // bytes
	bytes int64
	seqs  map[string]uint64 // by the key of the index; 0: the index does not have it
}

func newIndexCache(r reader, limit int64) *indexCache {
	return &indexCache{r: r, limit: limit, seqs: make(map[string]uint64)}
}

// find is a finder.
func (c *indexCache) find(at []byte) (uint64, error) {
	if seq, ok := c.seqs[string(at)]; ok {
		return seq, nil
	}
	seq, err := seqAt(c.r, at)
	if err != nil {
		return 0, err
	}
	c.put(string(at), seq)
	return seq, nil
}

// applied takes over what a batch did. To drop a slot is rare, and makes it forget
// all slots.
func (c *indexCache) applied(p *plan) {
	if len(p.dropped) > 0 {
		clear(c.seqs)
		c.bytes = 0
	}
	for at, seq := range p.index {
		c.put(at, seq)
	}
}

func (c *indexCache) put(at string, seq uint64) {
	if _, ok := c.seqs[at]; ok || c.makeRoom(cost(at)) {
		c.seqs[at] = seq
	}
}

// makeRoom takes n bytes of the limit, if that has so many.
func (c *indexCache) makeRoom(n int64) bool {
	for at := range c.seqs {
		if c.bytes+n <= c.limit {
			break
		}
		delete(c.seqs, at)
		c.bytes -= cost(at)
	}
	if c.bytes+n > c.limit {
		return false
	}
	c.bytes += n
	return true
}

// cost estimates the bytes that an entry takes.
func cost(at string) int64 {
	const overhead = 64 // header of the string, seq, the map's own
	return overhead + int64(len(at))
}
