package storetest

import (
	"testing"

	"dyschord/kv/store"
)

func testBatchOrder(t *testing.T, open Open) {
	s, _ := open(t)
	apply(t, s, func(b *store.Batch) {
		b.Append(1, rec(1, "a", "1"))
		b.Index(1, []byte("a"), 1)
		b.Append(1, rec(2, "a", "2"))
		b.Index(1, []byte("a"), 2)
		b.SetState(1, []byte("x"))
		b.SetState(1, []byte("y"))
	})
	same(t, "log", seqs(t, s, 1, 0, 9), []uint64{2})
	state, err := s.State(1)
	same(t, "state", []any{string(state), err}, []any{"y", nil})
	apply(t, s, func(b *store.Batch) {
		b.Drop(1)
		b.Append(1, rec(1, "a", "again"))
		b.Index(1, []byte("a"), 1)
		b.Append(1, rec(5, "tail", ""))
		b.Truncate(1, 4)
		b.Append(1, rec(6, "kept", ""))
	})
	same(t, "log after drop and refill", seqs(t, s, 1, 0, 9), []uint64{1, 6})
	same(t, "index after drop and refill", keys(t, s, 1, ""), []string{"a=1"})
	apply(t, s, func(b *store.Batch) {
		b.Append(1, rec(7, "b", ""))
		b.Index(1, []byte("b"), 7)
		b.Drop(1)
	})
	same(t, "log of a slot filled and dropped", seqs(t, s, 1, 0, 9), []uint64{})
	same(t, "index of a slot filled and dropped", keys(t, s, 1, ""), []string{})
	apply(t, s, func(b *store.Batch) {
		b.Append(1, rec(9, "a", "before"))
		b.Index(1, []byte("a"), 9)
		b.Drop(1)
		b.Append(1, rec(2, "a", "after"))
		b.Index(1, []byte("a"), 2)
	})
	same(t, "index of a slot that begins anew within the batch", keys(t, s, 1, ""), []string{"a=2"})
}

func testInvalid(t *testing.T, open Open) {
	bad := map[string]func(b *store.Batch){
		"seq 0":             func(b *store.Batch) { b.Append(1, rec(0, "k", "")) },
		"empty key":         func(b *store.Batch) { b.Append(1, rec(1, "", "")) },
		"index to 0":        func(b *store.Batch) { b.Index(1, []byte("k"), 0) },
		"index of no key":   func(b *store.Batch) { b.Index(1, nil, 1) },
		"one good, one bad": func(b *store.Batch) { b.Append(1, rec(2, "k", "")); b.Append(1, rec(0, "k", "")) },
	}
	for name, fill := range bad {
		s, _ := open(t)
		var b store.Batch
		b.SetState(1, []byte("x"))
		fill(&b)
		_, err := s.Apply(&b)
		wantError(t, name, err, store.ErrInvalid)
		_, err = s.State(1)
		wantError(t, name+": state", err, store.ErrNotFound)
		same(t, name+": log", seqs(t, s, 1, 0, 9), []uint64{})
		apply(t, s, func(b *store.Batch) { b.SetState(1, []byte("fine")) })
	}
}
