package kv

import (
	"bytes"
	"errors"
	"time"

	"dyschord/kv/store"
)

// inspect checks the invariants now and then.
func (st *storm) inspect() {
	st.net.After(time.Second, func() {
		st.checkAll(false)
		if !st.calm {
			st.inspect()
		}
	})
}

// link notes a decided configuration: there is one for each epoch of a slot.
func (st *storm) link(slot uint32, c *configuration) {
	at := slotEpoch{Slot: slot, Epoch: c.Epoch}
	if known := st.chain[at]; known == nil {
		decided := c.normal()
		st.chain[at] = &decided
	} else if !known.same(c) {
		st.t.Errorf("%s: slot %d has two configurations of epoch %d: %+v and %+v", st.net.Now(), slot, c.Epoch, known, c)
	}
}

// checkAll checks every slot, and in calm that the copies are equal.
func (st *storm) checkAll(calm bool) {
	for id := range uint32(st.cfg.Slots) {
		st.checkSlot(id)
		if calm {
			st.equal(id)
		}
	}
}

// copyOf is what a node has of a slot on its disk.
type copyOf struct {
	m     *member
	s     *slot
	log   map[uint64]store.Record
	index map[string]uint64
}

// checkSlot checks that there is one chain of configurations, that the logs of any
// two nodes agree, and that an index names nothing but what is committed.
func (st *storm) checkSlot(id uint32) {
	var copies []*copyOf
	for _, m := range st.members {
		if !m.up() {
			continue
		}
		for _, c := range m.kv.named(id) {
			if s := m.kv.slots[id]; c.Epoch > 0 && (s == nil || s.Acc == nil || c != &s.Acc.Value) {
				st.link(id, c)
			}
		}
		if s := m.kv.slots[id]; s != nil && s.Tag > 0 && !s.Dirty && !s.corrupt && st.damaged == nil {
			copies = append(copies, st.read(m, s))
		}
	}
	for i, a := range copies {
		for _, b := range copies[:i] {
			st.agree(a, b)
			st.superseded(a, b, copies)
			st.superseded(b, a, copies)
		}
	}
}

func (st *storm) read(m *member, s *slot) *copyOf {
	c := &copyOf{m, s, map[uint64]store.Record{}, map[string]uint64{}}
	for rec, err := range m.disk.Log(s.id, 1, s.last) {
		if err != nil {
			st.t.Errorf("log of %s: %v", m.sim, err)
			break
		}
		c.log[rec.Seq] = rec
	}
	for e, err := range m.disk.Keys(s.id, nil) {
		if err != nil || e.Seq > s.Com {
			st.t.Errorf("%s: slot %d: the index of %s names version %d, %d is committed (%v)", st.net.Now(), s.id, m.sim, e.Seq, s.Com, err)
		}
		c.index[string(e.Key)] = e.Seq
	}
	if s.Com > s.last {
		st.t.Errorf("%s: slot %d: %s has committed %d of %d", st.net.Now(), s.id, m.sim, s.Com, s.last)
	}
	return c
}

// agree compares what two nodes have of one epoch's sequence, and of what both know
// to be committed in whatever epoch.
func (st *storm) agree(a, b *copyOf) {
	upTo := min(a.s.last, b.s.last)
	if a.s.Tag != b.s.Tag {
		upTo = min(a.s.Com, b.s.Com)
	}
	for seq, r := range a.log {
		if other, both := b.log[seq]; both && seq <= upTo && !sameRecord(&r, &other) {
			st.t.Errorf("%s: slot %d: %s (epoch %d) and %s (epoch %d) differ at version %d: %q=%q and %q=%q", st.net.Now(), a.s.id,
				a.m.sim, a.s.Tag, b.m.sim, b.s.Tag, seq, r.Key, r.Value, other.Key, other.Value)
		}
	}
}

// superseded checks that what b lacks of a's log was replaced by a later record of
// the key, which b has as well if its log goes that far. Whether that one is
// committed, only a primary may know that has died since; in calm all know.
func (st *storm) superseded(a, b *copyOf, all []*copyOf) {
	upTo := min(a.s.last, b.s.last)
	if a.s.Tag != b.s.Tag {
		upTo = min(a.s.Com, b.s.Com)
	}
	for seq, r := range a.log {
		if _, both := b.log[seq]; both || seq > upTo {
			continue
		}
		best := uint64(0)
		for _, c := range all {
			best = max(best, c.index[string(r.Key)])
			for later, other := range c.log {
				if later > best && c.s.Tag >= b.s.Tag && bytes.Equal(other.Key, r.Key) {
					best = later
				}
			}
		}
		if _, has := b.log[best]; best <= seq || b.s.Tag == a.s.Tag && best <= b.s.last && !has && b.index[string(r.Key)] <= seq {
			st.t.Errorf("%s: slot %d: %s (epoch %d) lacks version %d of %q that %s (epoch %d) has; committed is version %d", st.net.Now(), a.s.id,
				b.m.sim, b.s.Tag, seq, r.Key, a.m.sim, a.s.Tag, best)
		}
	}
}

func sameRecord(a, b *store.Record) bool {
	return a.Epoch == b.Epoch && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value) && a.Deleted == b.Deleted && bytes.Equal(a.Request, b.Request)
}

// rotten says whether err is the damage that this storm did: who holds the record does
// not notice until it reads it.
func (st *storm) rotten(m *member, id uint32, err error) bool {
	return st.damaged != nil && *st.damaged == rot{m, id} && errors.Is(err, store.ErrCorrupt)
}

// equal checks that the members of a slot have the same committed values.
func (st *storm) equal(id uint32) {
	var first *member
	for _, p := range st.newestOf(id).Members {
		m := st.member(p)
		s := m.kv.slots[id]
		if s.Com != s.last {
			st.t.Errorf("slot %d: %s knows of commits up to %d of %d", id, m.sim, s.Com, s.last)
		}
		if first == nil {
			first = m
			continue
		}
		for _, key := range st.keys {
			a, errA := first.disk.Lookup(id, []byte(key))
			b, errB := m.disk.Lookup(id, []byte(key))
			if st.rotten(m, id, errB) || st.rotten(first, id, errA) {
				continue
			}
			if errors.Is(errA, store.ErrNotFound) != errors.Is(errB, store.ErrNotFound) || a.Seq != b.Seq || !bytes.Equal(a.Value, b.Value) {
				st.t.Errorf("slot %d key %s: %s has version %d (%v), %s has %d (%v)", id, key, first.sim, a.Seq, errA, m.sim, b.Seq, errB)
			}
		}
	}
}
