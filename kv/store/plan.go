package store

import (
	"errors"
	"fmt"
)

// change is one step in an engine's own terms: set key, delete key, or delete the
// span from key to end.
type change struct {
	kind  changeKind
	key   []byte
	value []byte // of set
	end   []byte // of deleteSpan
}

type changeKind uint8

const (
	setKey changeKind = iota
	deleteKey
	deleteSpan
)

// planner turns a batch into changes. It reads the index where a change depends on
// it, and remembers what the batch itself did to the index before.
type planner struct {
	r       reader
	changes []change
	index   map[string]uint64 // index entries the batch has set
	dropped map[uint32]bool   // slots the batch has emptied
}

// plan checks b against the rules of this package and works out its changes. The
// caller keeps other writers away until they are applied.
func plan(r reader, b *Batch) ([]change, error) {
	p := planner{r: r, changes: make([]change, 0, len(b.ops)+4)}
	for i := range b.ops {
		if err := p.add(&b.ops[i]); err != nil {
			return nil, err
		}
	}
	return p.changes, nil
}

func (p *planner) add(o *op) error {
	switch o.kind {
	case opMeta:
		p.set(metaKey(o.key), append([]byte{}, o.data...))
	case opState:
		p.set(stateKey(o.slot), append([]byte{}, o.data...))
	case opAppend:
		return p.record(o)
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

func (p *planner) set(key, value []byte) {
	p.changes = append(p.changes, change{kind: setKey, key: key, value: value})
}

func (p *planner) remove(key []byte) {
	p.changes = append(p.changes, change{kind: deleteKey, key: key})
}

func (p *planner) clear(s span) {
	p.changes = append(p.changes, change{kind: deleteSpan, key: s.lo, end: s.hi})
}

func (p *planner) record(o *op) error {
	if o.rec.Seq == 0 {
		return fmt.Errorf("store: slot %d: %w: a record has seq 0, the first is 1", o.slot, ErrInvalid)
	}
	if len(o.rec.Key) == 0 {
		return fmt.Errorf("store: slot %d, record %d: %w: its key is empty", o.slot, o.rec.Seq, ErrInvalid)
	}
	p.set(recordKey(o.slot, o.rec.Seq), encodeRecord(o.slot, &o.rec))
	return nil
}

// moveIndex keeps at most one committed record per key: whichever of the two is
// older goes.
func (p *planner) moveIndex(o *op) error {
	if o.seq == 0 || len(o.key) == 0 {
		return fmt.Errorf("store: slot %d, key %q: %w: index to seq %d", o.slot, o.key, ErrInvalid, o.seq)
	}
	at := indexKey(o.slot, o.key)
	now, err := p.indexed(o, at)
	switch {
	case err != nil:
		return err
	case now == o.seq:
		return nil
	case now > o.seq:
		p.remove(recordKey(o.slot, o.seq))
		return nil
	case now > 0:
		p.remove(recordKey(o.slot, now))
	}
	p.set(at, encodeSeq(o.seq))
	if p.index == nil {
		p.index = make(map[string]uint64)
	}
	p.index[string(at)] = o.seq
	return nil
}

// indexed is what the index names for o's key at this point of the batch, 0 if
// nothing.
func (p *planner) indexed(o *op, at []byte) (uint64, error) {
	if seq, ok := p.index[string(at)]; ok {
		return seq, nil
	}
	if p.dropped[o.slot] {
		return 0, nil
	}
	data, err := p.r.get(at)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("store: slot %d, key %q: %w", o.slot, o.key, err)
	}
	return decodeSeq(data)
}

func (p *planner) drop(slot uint32) {
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
