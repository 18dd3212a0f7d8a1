package storetest

import (
	"bytes"
	"math"
	"reflect"
	"testing"
	"time"

	"dyschord/kv/store"
)

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
