package store

import "fmt"

// Batch is a list of changes that are applied in order, together or not at all. The
// zero Batch is empty and ready. It keeps none of the slices it is given.
//
// Records are encoded as they are added, so that Apply, where one batch waits for the
// other, has little left to do.
type Batch struct {
	ops []op
	err error // the first change that breaks a rule; Apply refuses the batch
}

type opKind uint8

const (
	opSet opKind = iota
	opIndex
	opTruncate
	opDrop
)

// op is one change. Its key and value are as the engine knows them (layout.go).
type op struct {
	kind  opKind
	bulky bool // it stores a client's value
	slot  uint32
	seq   uint64
	key   []byte
	value []byte
}

// Len counts the changes.
func (b *Batch) Len() int { return len(b.ops) }

// size estimates the bytes b takes in a log.
func (b *Batch) size() int64 {
	const overhead = 40
	n := int64(0)
	for i := range b.ops {
		n += overhead + int64(len(b.ops[i].key)+len(b.ops[i].value))
	}
	return n
}

// bulky says whether b stores values, rather than protocol state and deletes.
func (b *Batch) bulky() bool {
	for i := range b.ops {
		if b.ops[i].bulky {
			return true
		}
	}
	return false
}

// SetMeta sets a value of the node as a whole.
func (b *Batch) SetMeta(name string, value []byte) {
	b.ops = append(b.ops, op{kind: opSet, key: metaKey([]byte(name)), value: append([]byte{}, value...)})
}

// SetState sets the protocol state of a slot.
func (b *Batch) SetState(slot uint32, state []byte) {
	b.ops = append(b.ops, op{kind: opSet, slot: slot, key: stateKey(slot), value: append([]byte{}, state...)})
}

// Append adds a record to a slot's log, or replaces the one with its Seq. It needs a
// Seq from 1 on and a key.
func (b *Batch) Append(slot uint32, rec Record) {
	switch {
	case rec.Seq == 0:
		b.refuse(fmt.Errorf("store: slot %d: %w: a record has seq 0, the first is 1", slot, ErrInvalid))
	case len(rec.Key) == 0:
		b.refuse(fmt.Errorf("store: slot %d, record %d: %w: its key is empty", slot, rec.Seq, ErrInvalid))
	}
	b.ops = append(b.ops, op{
		kind: opSet, bulky: !rec.Deleted, slot: slot,
		key: recordKey(slot, rec.Seq), value: encodeRecord(slot, &rec),
	})
}

// Index makes seq the committed version of key, unless the index names a higher one
// already. Of the two records the older is pruned: a key has one committed record.
func (b *Batch) Index(slot uint32, key []byte, seq uint64) {
	if seq == 0 || len(key) == 0 {
		b.refuse(fmt.Errorf("store: slot %d, key %q: %w: index to seq %d", slot, key, ErrInvalid, seq))
	}
	b.ops = append(b.ops, op{kind: opIndex, slot: slot, seq: seq, key: indexKey(slot, key)})
}

// Truncate removes the records of a slot's log above seq. None of them may be
// indexed.
func (b *Batch) Truncate(slot uint32, seq uint64) {
	b.ops = append(b.ops, op{kind: opTruncate, slot: slot, seq: seq})
}

// Drop removes a slot's log and index, but not its state.
func (b *Batch) Drop(slot uint32) {
	b.ops = append(b.ops, op{kind: opDrop, slot: slot})
}

func (b *Batch) refuse(err error) {
	if b.err == nil {
		b.err = err
	}
}
