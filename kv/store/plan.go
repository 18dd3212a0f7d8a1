package store

import (
	"errors"
	"fmt"
)

// change is one step in an engine's own terms: set key to value, delete key, or
// delete the span from key to value.
type change struct {
	kind  changeKind
	key   []byte
	value []byte
}

type changeKind uint8

const (
	setKey changeKind = iota
	deleteKey
	deleteSpan
)

// finder reads the index of a store as it is before a batch: the version at a key of
// the index, 0 if there is none.
type finder func(at []byte) (uint64, error)

// seqAt is the finder of an engine without any shortcut.
func seqAt(r reader, at []byte) (uint64, error) {
	data, err := r.get(at)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return decodeSeq(data)
}

// plan is what a batch comes to in a store. The index is read where a change depends
// on it; what the batch itself did to the index before is remembered.
type plan struct {
	find    finder
	changes []change
	index   map[string]uint64 // entries that the batch sets, by their keys
	dropped map[uint32]bool   // slots that the batch empties, before it sets those entries
}

// newPlan works out what b changes. The caller keeps other writers away until the
// changes are made.
func newPlan(find finder, b *Batch) (*plan, error) {
	if b.err != nil {
		return nil, b.err
	}
	p := &plan{find: find, changes: make([]change, 0, 2*len(b.ops))}
	for i := range b.ops {
		if err := p.add(&b.ops[i]); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *plan) add(o *op) error {
	switch o.kind {
	case opSet:
		p.set(o.key, o.value)
	case opIndex:
		return p.moveIndex(o)
	case opTruncate:
		if o.seq != 1<<64-1 {
			p.clear(logSpan(o.slot, o.seq+1, 1<<64-1))
		}
	case opDrop:
		p.drop(o.slot)
	}
	return nil
}

func (p *plan) set(key, value []byte) {
	p.changes = append(p.changes, change{setKey, key, value})
}

func (p *plan) remove(key []byte) {
	p.changes = append(p.changes, change{deleteKey, key, nil})
}

func (p *plan) clear(s span) {
	p.changes = append(p.changes, change{deleteSpan, s.lo, s.hi})
}

// moveIndex keeps at most one committed record per key: whichever of the two is
// older goes.
func (p *plan) moveIndex(o *op) error {
	now, err := p.indexed(o)
	switch {
	case err != nil:
		return fmt.Errorf("store: slot %d, key %q: %w", o.slot, o.key[slotEnd:], err)
	case now == o.seq:
		return nil
	case now > o.seq:
		p.remove(recordKey(o.slot, o.seq))
		return nil
	case now > 0:
		p.remove(recordKey(o.slot, now))
	}
	p.set(o.key, encodeSeq(o.seq))
	if p.index == nil {
		p.index = make(map[string]uint64)
	}
	p.index[string(o.key)] = o.seq
	return nil
}

// indexed is what the index names for o's key at this point of the batch, 0 if
// nothing.
func (p *plan) indexed(o *op) (uint64, error) {
	if seq, ok := p.index[string(o.key)]; ok {
		return seq, nil
	}
	if p.dropped[o.slot] {
		return 0, nil
	}
	return p.find(o.key)
}

func (p *plan) drop(slot uint32) {
	p.clear(slotSpan(prefixRecord, slot))
	index := slotSpan(prefixIndex, slot)
	p.clear(index)
	for at := range p.index {
		if at >= string(index.lo) && at < string(index.hi) {
			delete(p.index, at)
		}
	}
	if p.dropped == nil {
		p.dropped = make(map[uint32]bool)
	}
	p.dropped[slot] = true
}
