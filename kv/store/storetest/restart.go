package storetest

import (
	"errors"
	"fmt"
	"testing"

	"dyschord/kv/store"
)

func testRestart(t *testing.T, open Open) {
	s, restart := open(t)
	for round := uint64(1); round <= 4; round++ {
		apply(t, s, func(b *store.Batch) {
			b.SetMeta("round", fmt.Append(nil, round))
			b.SetState(uint32(round), fmt.Append(nil, round))
			b.Append(1, rec(round, "k", fmt.Sprint(round)))
			b.Index(1, []byte("k"), round)
		})
		var unwaited store.Batch
		unwaited.SetMeta("unwaited", fmt.Append(nil, round))
		if _, err := s.Apply(&unwaited); err != nil {
			t.Fatal(err)
		}
		s = restart()
		for _, name := range []string{"round", "unwaited"} {
			meta, err := s.Meta(name)
			same(t, name, []any{string(meta), err}, []any{fmt.Sprint(round), nil})
		}
		got, err := s.Lookup(1, []byte("k"))
		same(t, "value", []any{string(got.Value), err}, []any{fmt.Sprint(round), nil})
		same(t, "log", seqs(t, s, 1, 0, 9), []uint64{round})
	}
}

func testClosed(t *testing.T, open Open) {
	s, _ := open(t)
	apply(t, s, func(b *store.Batch) { b.SetMeta("m", []byte("v")) })
	var last store.Batch
	last.SetMeta("m", []byte("last"))
	commit, err := s.Apply(&last)
	if err != nil {
		t.Fatal(err)
	}
	snap := s.Snapshot()
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := commit.Wait(); err != nil {
		t.Errorf("a commit that the close made durable: %v", err)
	}
	var b store.Batch
	b.SetMeta("m", nil)
	_, err = s.Apply(&b)
	wantError(t, "Apply", err, store.ErrClosed)
	_, err = s.Meta("m")
	wantError(t, "Meta", err, store.ErrClosed)
	_, _, err = s.Last(1)
	wantError(t, "Last", err, store.ErrClosed)
	for _, err := range s.States() {
		wantError(t, "States", err, store.ErrClosed)
	}
	_ = s.Stats()
	if err := errors.Join(snap.Close(), s.Snapshot().Close()); err != nil {
		t.Errorf("closing snapshots of a closed store: %v", err)
	}
}
