package storetest

import (
	"fmt"
	"testing"

	"dyschord/kv/store"
)

func testIndex(t *testing.T, open Open) {
	s, _ := open(t)
	apply(t, s, func(b *store.Batch) {
		b.Append(1, rec(1, "a", "one"))
		b.Append(1, rec(2, "b", "two"))
		b.Append(1, rec(3, "a", "three"))
	})
	_, err := s.Lookup(1, []byte("a"))
	wantError(t, "before the index moved", err, store.ErrNotFound)

	index := func(key string, seq uint64) {
		apply(t, s, func(b *store.Batch) { b.Index(1, []byte(key), seq) })
	}
	lookup := func() string {
		got, err := s.Lookup(1, []byte("a"))
		return fmt.Sprintf("%s@%d %v", got.Value, got.Seq, err)
	}
	index("a", 1)
	same(t, "a", lookup(), "one@1 <nil>")
	index("a", 3)
	index("b", 2)
	same(t, "a", lookup(), "three@3 <nil>")
	same(t, "log without the superseded", seqs(t, s, 1, 0, 9), []uint64{2, 3})
	index("a", 3)
	same(t, "a, indexed twice", lookup(), "three@3 <nil>")
	apply(t, s, func(b *store.Batch) {
		b.Append(1, rec(1, "a", "one"))
		b.Index(1, []byte("a"), 1)
	})
	same(t, "a, after a late index", lookup(), "three@3 <nil>")
	same(t, "log without the late record", seqs(t, s, 1, 0, 9), []uint64{2, 3})
	apply(t, s, func(b *store.Batch) {
		b.Append(1, store.Record{Epoch: 2, Seq: 4, Key: []byte("a"), Deleted: true})
		b.Index(1, []byte("a"), 4)
	})
	got, err := s.Lookup(1, []byte("a"))
	same(t, "tombstone", []any{got.Deleted, got.Seq, err}, []any{true, uint64(4), nil})
}

func testKeys(t *testing.T, open Open) {
	s, _ := open(t)
	apply(t, s, func(b *store.Batch) {
		for i, key := range []string{"b", "a", "ab", "a\x00", "\xff"} {
			b.Append(1, rec(uint64(i+1), key, ""))
			b.Index(1, []byte(key), uint64(i+1))
		}
	})
	same(t, "all", keys(t, s, 1, ""), []string{"a=2", "a\x00=4", "ab=3", "b=1", "\xff=5"})
	same(t, "from one that is there", keys(t, s, 1, "ab"), []string{"ab=3", "b=1", "\xff=5"})
	same(t, "from one that is not", keys(t, s, 1, "b\x00"), []string{"\xff=5"})
	same(t, "from the end", keys(t, s, 1, "\xff\xff"), []string{})
}

// A batch that is refused leaves no trace either in what a store remembers of its
// index.
func testRefusedIndex(t *testing.T, open Open) {
	s, _ := open(t)
	apply(t, s, func(b *store.Batch) {
		b.Append(1, rec(1, "k", "one"))
		b.Index(1, []byte("k"), 1)
		b.Append(1, rec(2, "k", "two"))
		b.Append(1, rec(3, "l", "three"))
	})
	var b store.Batch
	b.Index(1, []byte("k"), 2)
	b.Index(1, []byte("l"), 3)
	b.Drop(1)
	b.Index(1, []byte("k"), 0)
	_, err := s.Apply(&b)
	wantError(t, "a bad batch", err, store.ErrInvalid)
	same(t, "index", keys(t, s, 1, ""), []string{"k=1"})
	apply(t, s, func(b *store.Batch) { b.Index(1, []byte("k"), 2); b.Index(1, []byte("l"), 3) })
	same(t, "index, moved", keys(t, s, 1, ""), []string{"k=2", "l=3"})
	same(t, "log", seqs(t, s, 1, 0, 9), []uint64{2, 3})
}
