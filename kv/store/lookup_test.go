package store

import (
	"bytes"
	"errors"
	"testing"
)

// overtaken lets a batch in between the reads of the index and of the record.
type overtaken struct {
	reader
	between func()
}

func (o *overtaken) get(key []byte) ([]byte, error) {
	if f := o.between; f != nil && key[0] == prefixRecord {
		o.between = nil
		f()
	}
	return o.reader.get(key)
}

func TestLookupSurvivesThePruningOfWhatItFound(t *testing.T) {
	key := []byte("k")
	m := NewMemory(MemoryOptions{})
	write := func(seq uint64) {
		var b Batch
		b.Append(1, Record{Epoch: 1, Seq: seq, Key: key, Value: []byte{byte(seq)}})
		b.Index(1, key, seq)
		if _, err := m.Apply(&b); err != nil {
			t.Fatal(err)
		}
	}
	write(1)
	racing := view{&overtaken{reader: m.view.r, between: func() { write(2) }}}
	if rec, err := racing.Lookup(1, key); err != nil || rec.Seq != 2 || !bytes.Equal(rec.Value, []byte{2}) {
		t.Errorf("a lookup that a batch overtook: %+v, %v", rec, err)
	}
	dropped := view{&overtaken{reader: m.view.r, between: func() {
		var b Batch
		b.Drop(1)
		if _, err := m.Apply(&b); err != nil {
			t.Fatal(err)
		}
	}}}
	if rec, err := dropped.Lookup(1, key); !errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt) {
		t.Errorf("a lookup that the drop of the slot overtook: %+v, %v", rec, err)
	}
}
