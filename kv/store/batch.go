package store

// Batch is a list of changes that are applied together or not at all. The zero
// Batch is empty and ready. It keeps the slices it is given.
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

// SetMeta sets a value of the node as a whole.
func (b *Batch) SetMeta(name string, value []byte) {
	b.ops = append(b.ops, op{kind: opMeta, key: []byte(name), data: value})
}

// SetState sets the protocol state of a slot.
func (b *Batch) SetState(slot uint32, state []byte) {
	b.ops = append(b.ops, op{kind: opState, slot: slot, data: state})
}

// Append adds a record to a slot's log, or replaces the one with its Seq.
func (b *Batch) Append(slot uint32, rec Record) {
	b.ops = append(b.ops, op{kind: opAppend, slot: slot, rec: rec})
}

// Index makes seq the committed version of key, if the index does not name a
// higher one already, and prunes the record that it named before.
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
