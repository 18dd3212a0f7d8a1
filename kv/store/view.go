package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
)

// reader is the part of an engine that reads: ordered keys and their values. Slices
// it returns are the caller's.
type reader interface {
	// get returns the value of key, or ErrNotFound.
	get(key []byte) ([]byte, error)
	// last returns the highest key of s and its value, or ErrNotFound.
	last(s span) (pair, error)
	// scan visits s in order; it ends after an error.
	scan(s span) iter.Seq2[pair, error]
}

type pair struct{ key, value []byte }

// view makes a Reader of what an engine can read.
type view struct{ r reader }

// Meta returns a value of the node as a whole, or ErrNotFound.
func (v view) Meta(name string) ([]byte, error) {
	value, err := v.r.get(metaKey([]byte(name)))
	if err != nil {
		return nil, fmt.Errorf("store: meta %q: %w", name, err)
	}
	return value, nil
}

// State returns the protocol state of a slot, or ErrNotFound.
func (v view) State(slot uint32) ([]byte, error) {
	value, err := v.r.get(stateKey(slot))
	if err != nil {
		return nil, fmt.Errorf("store: state of slot %d: %w", slot, err)
	}
	return value, nil
}

// States visits all slots that have a state, in order.
func (v view) States() iter.Seq2[SlotState, error] {
	all := span{[]byte{prefixState}, []byte{prefixState + 1}}
	return visit(v.r, "states", all, func(p pair) (SlotState, error) {
		if len(p.key) != slotEnd {
			return SlotState{}, fmt.Errorf("key % x: %w", p.key, ErrCorrupt)
		}
		return SlotState{binary.BigEndian.Uint32(p.key[1:]), p.value}, nil
	})
}

// Record returns the record at seq, or ErrNotFound, or ErrCorrupt.
func (v view) Record(slot uint32, seq uint64) (Record, error) {
	data, err := v.r.get(recordKey(slot, seq))
	if err != nil {
		return Record{}, fmt.Errorf("store: slot %d, record %d: %w", slot, seq, err)
	}
	return decodeRecord(slot, seq, data)
}

// Last returns the highest seq in the slot's log with its epoch, 0 if there is none.
// Of a corrupt record it returns the seq all the same, with ErrCorrupt.
func (v view) Last(slot uint32) (epoch, seq uint64, err error) {
	p, err := v.r.last(slotSpan(prefixRecord, slot))
	if errors.Is(err, ErrNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("store: last record of slot %d: %w", slot, err)
	}
	rec, err := recordOf(slot, p)
	if err != nil && len(p.key) == recordEnd {
		rec.Seq = binary.BigEndian.Uint64(p.key[slotEnd:])
	}
	return rec.Epoch, rec.Seq, err
}

// Log visits the records with from <= seq <= to in order; it ends after an error.
func (v view) Log(slot uint32, from, to uint64) iter.Seq2[Record, error] {
	if from > to {
		return func(func(Record, error) bool) {}
	}
	return visit(v.r, "log", logSpan(slot, from, to), func(p pair) (Record, error) { return recordOf(slot, p) })
}

func recordOf(slot uint32, p pair) (Record, error) {
	if len(p.key) != recordEnd {
		return Record{}, fmt.Errorf("store: record key % x: %w", p.key, ErrCorrupt)
	}
	return decodeRecord(slot, binary.BigEndian.Uint64(p.key[slotEnd:]), p.value)
}

// Lookup returns the record that the index names for key. A batch may move the index
// and prune the record between the two reads: then the index names another by now.
func (v view) Lookup(slot uint32, key []byte) (Record, error) {
	seq, err := committed(v.r, slot, key)
	for err == nil {
		rec, missing := v.Record(slot, seq)
		if !errors.Is(missing, ErrNotFound) {
			return rec, missing
		}
		named := seq
		if seq, err = committed(v.r, slot, key); err == nil && seq == named {
			return Record{}, corrupt(slot, seq, "the index names it, but it is missing")
		}
	}
	return Record{}, err
}

// committed reads the index.
func committed(r reader, slot uint32, key []byte) (uint64, error) {
	data, err := r.get(indexKey(slot, key))
	if err != nil {
		return 0, fmt.Errorf("store: slot %d, key %q: %w", slot, key, err)
	}
	return decodeSeq(data)
}

// Keys visits the index of a slot in the order of its keys, from key on.
func (v view) Keys(slot uint32, from []byte) iter.Seq2[IndexEntry, error] {
	rest := span{indexKey(slot, from), slotKey(prefixIndex, uint64(slot)+1)}
	return visit(v.r, "index", rest, func(p pair) (IndexEntry, error) {
		seq, err := decodeSeq(p.value)
		return IndexEntry{p.key[slotEnd:], seq}, err
	})
}

func decodeSeq(data []byte) (uint64, error) {
	if len(data) != 8 {
		return 0, fmt.Errorf("store: index entry of %d bytes: %w", len(data), ErrCorrupt)
	}
	return binary.BigEndian.Uint64(data), nil
}

// visit turns the pairs of s into values of T, and ends after an error of either.
func visit[T any](r reader, what string, s span, decode func(pair) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for p, err := range r.scan(s) {
			var value T
			if err != nil {
				err = fmt.Errorf("store: %s: %w", what, err)
			} else {
				value, err = decode(p)
			}
			if !yield(value, err) || err != nil {
				return
			}
		}
	}
}
