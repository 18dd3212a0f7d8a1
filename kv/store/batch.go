package store

// Batch is a list of changes that are applied in order, together or not at all. The
// zero Batch is empty and ready. It keeps the slices it is given until it is
// applied; the store keeps none of them.
type Batch struct{ ops []op }

type opKind uint8

const (
	opMeta opKind = iota
	opState
	opAppend
	opIndex
	opTruncate
	opDrop
)

type op struct {
	kind opKind
	slot uint32
	seq  uint64
	key  []byte
	data []byte
	rec  Record
}

// Len counts the changes.
func (b *Batch) Len() int { return len(b.ops) }

// size estimates the bytes b takes in a log.
func (b *Batch) size() int64 {
	const overhead = 40
	n := int64(0)
	for i := range b.ops {
		o := &b.ops[i]
		n += overhead + int64(len(o.key)+len(o.data)+len(o.rec.Key)+len(o.rec.Value)+len(o.rec.Type)+len(o.rec.Request))
	}
	return n
}

// bulky says whether b stores values, rather than protocol state and deletes.
func (b *Batch) bulky() bool {
	for i := range b.ops {
		if b.ops[i].kind == opAppend && !b.ops[i].rec.Deleted {
			return true
		}
	}
	return false
}

// SetMeta sets a value of the node as a whole.
func (b *Batch) SetMeta(name string, value []byte) {
	b.ops = append(b.ops, op{kind: opMeta, key: []byte(name), data: value})
}

// SetState sets the protocol state of a slot.
func (b *Batch) SetState(slot uint32, state []byte) {
	b.ops = append(b.ops, op{kind: opState, slot: slot, data: state})
}

// Append adds a record to a slot's log, or replaces the one with its Seq. It needs a
// Seq from 1 on and a key.
func (b *Batch) Append(slot uint32, rec Record) {
	b.ops = append(b.ops, op{kind: opAppend, slot: slot, rec: rec})
}

// Index makes seq the committed version of key, unless the index names a higher one
// already. Of the two records the older is pruned: a key has one committed record.
func (b *Batch) Index(slot uint32, key []byte, seq uint64) {
	b.ops = append(b.ops, op{kind: opIndex, slot: slot, key: key, seq: seq})
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
