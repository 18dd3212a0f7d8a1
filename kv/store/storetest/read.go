package storetest

import (
	"fmt"
	"math"
	"sync"
	"testing"

	"dyschord/kv/store"
)

func testSnapshot(t *testing.T, open Open) {
	s, _ := open(t)
	apply(t, s, func(b *store.Batch) {
		for seq := uint64(1); seq <= 100; seq++ {
			b.Append(1, rec(seq, fmt.Sprint(seq), "old"))
			b.Index(1, fmt.Append(nil, seq), seq)
		}
		b.SetState(1, []byte("old"))
	})
	snap := s.Snapshot()
	apply(t, s, func(b *store.Batch) { b.Drop(1); b.SetState(1, []byte("new")); b.Append(1, rec(500, "k", "")) })
	same(t, "records in the snapshot", len(seqs(t, snap, 1, 0, math.MaxUint64)), 100)
	same(t, "keys in the snapshot", len(keys(t, snap, 1, "")), 100)
	state, err := snap.State(1)
	same(t, "state in the snapshot", []any{string(state), err}, []any{"old", nil})
	_, seq, err := snap.Last(1)
	same(t, "last in the snapshot", []any{seq, err}, []any{uint64(100), nil})
	if err := snap.Close(); err != nil {
		t.Fatal(err)
	}
	same(t, "records now", seqs(t, s, 1, 0, math.MaxUint64), []uint64{500})
}

func testIteration(t *testing.T, open Open) {
	s, _ := open(t)
	const n = 300
	apply(t, s, func(b *store.Batch) {
		for seq := uint64(1); seq <= n; seq++ {
			b.Append(1, rec(seq, "k", ""))
		}
	})
	seen := uint64(0)
	for r, err := range s.Log(1, 1, math.MaxUint64) {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; r.Seq != seen {
			t.Fatalf("record %d comes after %d", r.Seq, seen-1)
		}
		if seen == 10 {
			apply(t, s, func(b *store.Batch) { b.Truncate(1, 20); b.Append(1, rec(n+1, "k", "")) })
		}
	}
	same(t, "records seen", seen, uint64(n))
}

func testConcurrent(t *testing.T, open Open) {
	s, _ := open(t)
	const writers, rounds = 8, 50
	var wg sync.WaitGroup
	for w := range uint32(writers) {
		wg.Go(func() {
			for seq := uint64(1); seq <= rounds; seq++ {
				apply(t, s, func(b *store.Batch) {
					b.Append(w, rec(seq, "k", fmt.Sprint(seq)))
					b.Index(w, []byte("k"), seq)
				})
				got, err := s.Lookup(w, []byte("k"))
				if err != nil || got.Seq != seq {
					t.Errorf("slot %d has version %d after writing %d: %v", w, got.Seq, seq, err)
				}
			}
		})
		wg.Go(func() {
			for range rounds {
				snap := s.Snapshot()
				if n := len(seqs(t, snap, w, 0, math.MaxUint64)); n > 1 {
					t.Errorf("slot %d shows %d committed records of one key", w, n)
				}
				if err := snap.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if stats := s.Stats(); stats.Commits < writers*rounds || stats.Syncs < 1 || stats.Bytes <= 0 {
		t.Errorf("stats after %d waited batches: %+v", writers*rounds, stats)
	}
}
