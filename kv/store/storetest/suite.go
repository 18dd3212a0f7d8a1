package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"sync"
	"testing"
	"time"

	"dyschord/kv/store"
)

// Open returns a new, empty store, and a function that closes it in good order and
// opens what it left, or fails the test. The function is called any number of times.
type Open func(tb testing.TB) (s store.Store, restart func() store.Store)

// TestStore runs the suite on an engine.
func TestStore(t *testing.T, open Open) {
	tests := []struct {
		name string
		run  func(t *testing.T, open Open)
	}{
		{"an empty store has nothing", testEmpty},
		{"a record comes back as it was given", testRecord},
		{"the caller's slices are the caller's", testSlices},
		{"the log is read by range and in order", testLog},
		{"the index moves forward and prunes", testIndex},
		{"steps of one batch see the steps before", testBatchOrder},
		{"truncate takes the tail", testTruncate},
		{"drop empties a slot and no other", testDrop},
		{"slots do not touch at the edges", testSlotEdges},
		{"keys are visited in order from anywhere", testKeys},
		{"a snapshot stays as it was", testSnapshot},
		{"an iteration stays as it began", testIteration},
		{"a bad batch is refused whole", testInvalid},
		{"a bad batch moves no index", testRefusedIndex},
		{"everything is there after a restart", testRestart},
		{"a closed store says so", testClosed},
		{"writers and readers run at once", testConcurrent},
		{"random batches agree with the model", testModel},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}

func apply(tb testing.TB, s store.Store, fill func(b *store.Batch)) {
	tb.Helper()
	var b store.Batch
	fill(&b)
	commit, err := s.Apply(&b)
	if err == nil {
		err = commit.Wait()
	}
	if err != nil {
		tb.Fatalf("batch of %d changes: %v", b.Len(), err)
	}
}

func rec(seq uint64, key, value string) store.Record {
	return store.Record{Epoch: 1, Seq: seq, Key: []byte(key), Value: []byte(value)}
}

// seqs reads a slot's log and returns the sequence numbers in it.
func seqs(tb testing.TB, r store.Reader, slot uint32, from, to uint64) []uint64 {
	tb.Helper()
	out := []uint64{}
	for rec, err := range r.Log(slot, from, to) {
		if err != nil {
			tb.Fatalf("log of slot %d: %v", slot, err)
		}
		out = append(out, rec.Seq)
	}
	return out
}

func keys(tb testing.TB, r store.Reader, slot uint32, from string) []string {
	tb.Helper()
	out := []string{}
	for entry, err := range r.Keys(slot, []byte(from)) {
		if err != nil {
			tb.Fatalf("keys of slot %d: %v", slot, err)
		}
		out = append(out, fmt.Sprintf("%s=%d", entry.Key, entry.Seq))
	}
	return out
}

func same(tb testing.TB, what string, got, want any) {
	tb.Helper()
	if !reflect.DeepEqual(got, want) {
		tb.Fatalf("%s is %v, should be %v", what, got, want)
	}
}

func wantError(tb testing.TB, what string, got, want error) {
	tb.Helper()
	if !errors.Is(got, want) {
		tb.Fatalf("%s: error is %v, should be %v", what, got, want)
	}
}

func testEmpty(t *testing.T, open Open) {
	s, _ := open(t)
	_, err := s.Meta("x")
	wantError(t, "Meta", err, store.ErrNotFound)
	_, err = s.State(1)
	wantError(t, "State", err, store.ErrNotFound)
	_, err = s.Record(1, 1)
	wantError(t, "Record", err, store.ErrNotFound)
	_, err = s.Lookup(1, []byte("k"))
	wantError(t, "Lookup", err, store.ErrNotFound)
	epoch, seq, err := s.Last(1)
	same(t, "Last", []any{epoch, seq, err}, []any{uint64(0), uint64(0), nil})
	same(t, "log", seqs(t, s, 1, 0, math.MaxUint64), []uint64{})
	for state, err := range s.States() {
		t.Fatalf("an empty store has the state %v, %v", state, err)
	}
}

func testRecord(t *testing.T, open Open) {
	s, _ := open(t)
	want := []store.Record{
		{Epoch: 1, Seq: 1, Key: []byte("k")},
		{
			Epoch: math.MaxUint64, Seq: 2, Key: []byte("\x00\xff/"), Value: []byte("v\x00"), Type: "text/plain",
			Modified: time.Unix(1700000000, 123456789).UTC(), Request: []byte("r"),
		},
		{Epoch: 3, Seq: 3, Key: []byte("k"), Deleted: true, Modified: time.Unix(-5, 0).UTC()},
		{Epoch: 3, Seq: math.MaxUint64, Key: bytes.Repeat([]byte("k"), 1024), Value: bytes.Repeat([]byte("v"), 1<<20)},
	}
	apply(t, s, func(b *store.Batch) {
		for _, r := range want {
			b.Append(7, r)
		}
	})
	for _, w := range want {
		got, err := s.Record(7, w.Seq)
		if err != nil || !reflect.DeepEqual(got, w) {
			t.Errorf("record %d is %+v, %v; should be %+v", w.Seq, got, err, w)
		}
	}
	epoch, seq, err := s.Last(7)
	same(t, "Last", []any{epoch, seq, err}, []any{uint64(3), uint64(math.MaxUint64), nil})
}

func testSlices(t *testing.T, open Open) {
	s, _ := open(t)
	state, given := []byte("state"), rec(1, "k", "value")
	apply(t, s, func(b *store.Batch) {
		b.SetState(1, state)
		b.SetMeta("m", nil)
		b.Append(1, given)
		b.Index(1, []byte("k"), 1)
	})
	copy(state, "XXXXX")
	copy(given.Value, "XXXXX")
	for range 2 {
		gotState, err := s.State(1)
		same(t, "state", []any{string(gotState), err}, []any{"state", nil})
		got, err := s.Lookup(1, []byte("k"))
		same(t, "value", []any{string(got.Value), err}, []any{"value", nil})
		copy(gotState, "YYYYY")
		copy(got.Value, "YYYYY")
		copy(got.Key, "Y")
	}
	meta, err := s.Meta("m")
	same(t, "empty meta", []any{len(meta), err}, []any{0, nil})
}

func testLog(t *testing.T, open Open) {
	s, _ := open(t)
	const n = 200
	apply(t, s, func(b *store.Batch) {
		for seq := uint64(n); seq > 0; seq-- {
			b.Append(1, rec(seq, "k", "v"))
		}
		b.Append(2, rec(1, "k", "v"))
	})
	all := seqs(t, s, 1, 0, math.MaxUint64)
	if len(all) != n || all[0] != 1 || all[n-1] != n {
		t.Fatalf("log has %d records: %v", len(all), all)
	}
	same(t, "middle", seqs(t, s, 1, 99, 101), []uint64{99, 100, 101})
	same(t, "one", seqs(t, s, 1, 5, 5), []uint64{5})
	same(t, "beyond", seqs(t, s, 1, n+1, math.MaxUint64), []uint64{})
	same(t, "backwards", seqs(t, s, 1, 9, 8), []uint64{})
	for r, err := range s.Log(1, 3, n) {
		same(t, "first of a stopped iteration", []any{r.Seq, err}, []any{uint64(3), nil})
		break
	}
}

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

func testTruncate(t *testing.T, open Open) {
	s, _ := open(t)
	apply(t, s, func(b *store.Batch) {
		for seq := uint64(1); seq <= 5; seq++ {
			b.Append(1, rec(seq, "k", ""))
			b.Append(2, rec(seq, "k", ""))
		}
		b.Append(1, rec(math.MaxUint64, "k", ""))
	})
	apply(t, s, func(b *store.Batch) { b.Truncate(1, math.MaxUint64) })
	same(t, "log after truncating nothing", seqs(t, s, 1, 0, math.MaxUint64), []uint64{1, 2, 3, 4, 5, math.MaxUint64})
	apply(t, s, func(b *store.Batch) { b.Truncate(1, 3) })
	same(t, "log", seqs(t, s, 1, 0, math.MaxUint64), []uint64{1, 2, 3})
	apply(t, s, func(b *store.Batch) { b.Truncate(1, 0) })
	_, seq, err := s.Last(1)
	same(t, "last of an emptied log", []any{seq, err}, []any{uint64(0), nil})
	same(t, "other slot", seqs(t, s, 2, 0, 9), []uint64{1, 2, 3, 4, 5})
}

func testDrop(t *testing.T, open Open) {
	s, _ := open(t)
	for slot := uint32(1); slot <= 3; slot++ {
		apply(t, s, func(b *store.Batch) {
			b.SetState(slot, []byte("state"))
			b.Append(slot, rec(7, "k", "v"))
			b.Index(slot, []byte("k"), 7)
		})
	}
	apply(t, s, func(b *store.Batch) { b.Drop(2) })
	same(t, "log", seqs(t, s, 2, 0, math.MaxUint64), []uint64{})
	same(t, "index", keys(t, s, 2, ""), []string{})
	state, err := s.State(2)
	same(t, "state, which stays", []any{string(state), err}, []any{"state", nil})
	for _, slot := range []uint32{1, 3} {
		same(t, "index of a neighbour", keys(t, s, slot, ""), []string{"k=7"})
		same(t, "log of a neighbour", seqs(t, s, slot, 0, 9), []uint64{7})
	}
	apply(t, s, func(b *store.Batch) { b.Append(2, rec(3, "k", "anew")); b.Index(2, []byte("k"), 3) })
	same(t, "index that begins anew, with a lower version", keys(t, s, 2, ""), []string{"k=3"})
	same(t, "log that begins anew", seqs(t, s, 2, 0, 9), []uint64{3})
}

func testSlotEdges(t *testing.T, open Open) {
	s, _ := open(t)
	slots := []uint32{0, 1, 255, 256, 1<<16 - 1, 1 << 16, math.MaxUint32}
	for _, slot := range slots {
		apply(t, s, func(b *store.Batch) {
			b.SetState(slot, []byte{1})
			b.Append(slot, rec(math.MaxUint64, "\xff\xff", "v"))
			b.Append(slot, rec(1, "\x00", "v"))
			b.Index(slot, []byte("\xff\xff"), math.MaxUint64)
			b.Index(slot, []byte("\x00"), 1)
		})
	}
	seen := []uint32{}
	for st, err := range s.States() {
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, st.Slot)
	}
	same(t, "slots with a state", seen, slots)
	for i, slot := range slots {
		same(t, "log", seqs(t, s, slot, 0, math.MaxUint64), []uint64{1, math.MaxUint64})
		same(t, "index", keys(t, s, slot, ""), []string{"\x00=1", fmt.Sprintf("\xff\xff=%d", uint64(math.MaxUint64))})
		apply(t, s, func(b *store.Batch) { b.Drop(slot) })
		for _, other := range slots[i+1:] {
			if _, seq, err := s.Last(other); seq != math.MaxUint64 {
				t.Fatalf("dropping slot %d took the log of %d: %v", slot, other, err)
			}
		}
	}
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
