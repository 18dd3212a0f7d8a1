package storetest

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"dyschord/kv/store"
)

// model is a store made of Go maps.
type model struct {
	meta  map[string]string
	slots map[uint32]*slotModel
}

type slotModel struct {
	state string // "" for none
	log   map[uint64]store.Record
	index map[string]uint64
}

var modelSlots = []uint32{0, 1, math.MaxUint32}

func newModel() *model {
	m := &model{meta: map[string]string{}, slots: map[uint32]*slotModel{}}
	for _, slot := range modelSlots {
		m.slots[slot] = &slotModel{log: map[uint64]store.Record{}, index: map[string]uint64{}}
	}
	return m
}

func (m *model) clone() *model {
	c := newModel()
	c.meta = maps.Clone(m.meta)
	for slot, s := range m.slots {
		c.slots[slot] = &slotModel{s.state, maps.Clone(s.log), maps.Clone(s.index)}
	}
	return c
}

// top is the highest indexed version: no record up to it may be replaced or
// truncated.
func (s *slotModel) top() uint64 {
	top := uint64(0)
	for _, seq := range s.index {
		top = max(top, seq)
	}
	return top
}

func (s *slotModel) moveIndex(key string, seq uint64) {
	now := s.index[key]
	switch {
	case now < seq:
		delete(s.log, now)
		s.index[key] = seq
	case now > seq:
		delete(s.log, seq)
	}
}

// step adds one random change to the batch and makes it in the model.
func (m *model) step(t *rapid.T, b *store.Batch) {
	slot := rapid.SampledFrom(modelSlots).Draw(t, "slot")
	s := m.slots[slot]
	switch rapid.IntRange(0, 9).Draw(t, "what") {
	case 0:
		name := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name")
		m.meta[name] = rapid.StringN(1, 4, 8).Draw(t, "meta")
		b.SetMeta(name, []byte(m.meta[name]))
	case 1:
		s.state = rapid.StringN(1, 4, 8).Draw(t, "state")
		b.SetState(slot, []byte(s.state))
	case 2:
		seq := s.top() + uint64(rapid.IntRange(0, 3).Draw(t, "cut"))
		maps.DeleteFunc(s.log, func(at uint64, _ store.Record) bool { return at > seq })
		b.Truncate(slot, seq)
	case 3:
		clear(s.log)
		clear(s.index)
		b.Drop(slot)
	case 4, 5, 6:
		seqs := slices.Sorted(maps.Keys(s.log))
		if len(seqs) == 0 {
			return
		}
		seq := rapid.SampledFrom(seqs).Draw(t, "commit")
		key := string(s.log[seq].Key)
		s.moveIndex(key, seq)
		b.Index(slot, []byte(key), seq)
	default:
		r := rec(s.top()+uint64(rapid.IntRange(1, 5).Draw(t, "seq")), "", "")
		r.Key = []byte(rapid.SampledFrom([]string{"k", "kk", "l", "\x00", "\xff"}).Draw(t, "key"))
		r.Value = []byte(rapid.StringN(1, 10, 20).Draw(t, "value"))
		r.Deleted = rapid.Bool().Draw(t, "deleted")
		s.log[r.Seq] = r
		b.Append(slot, r)
	}
}

// check compares all that can be read.
func (m *model) check(t *rapid.T, r store.Reader) {
	for _, name := range []string{"a", "b"} {
		got, err := r.Meta(name)
		if want, ok := m.meta[name]; string(got) != want || ok != (err == nil) {
			t.Fatalf("meta %s is %q, %v; should be %q", name, got, err, want)
		}
	}
	states := map[uint32]string{}
	for st, err := range r.States() {
		states[st.Slot] = string(st.State)
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, slot := range modelSlots {
		s := m.slots[slot]
		if states[slot] != s.state {
			t.Fatalf("state of slot %d is %q, should be %q", slot, states[slot], s.state)
		}
		s.check(t, r, slot)
	}
}

func (s *slotModel) check(t *rapid.T, r store.Reader, slot uint32) {
	want := slices.Sorted(maps.Keys(s.log))
	got := []uint64{}
	for rec, err := range r.Log(slot, 0, math.MaxUint64) {
		if err != nil || fmt.Sprint(rec) != fmt.Sprint(s.log[rec.Seq]) {
			t.Fatalf("slot %d has %v, %v; should be %v", slot, rec, err, s.log[rec.Seq])
		}
		got = append(got, rec.Seq)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("log of slot %d has %v, should have %v", slot, got, want)
	}
	_, last, err := r.Last(slot)
	if err != nil || len(want) == 0 && last != 0 || len(want) > 0 && last != want[len(want)-1] {
		t.Fatalf("last of slot %d is %d, %v; the log has %v", slot, last, err, want)
	}
	entries := map[string]uint64{}
	for e, err := range r.Keys(slot, nil) {
		entries[string(e.Key)] = e.Seq
		if err != nil {
			t.Fatal(err)
		}
	}
	if !maps.Equal(entries, s.index) {
		t.Fatalf("index of slot %d is %v, should be %v", slot, entries, s.index)
	}
	for key, seq := range s.index {
		rec, err := r.Lookup(slot, []byte(key))
		if err != nil || rec.Seq != seq {
			t.Fatalf("slot %d: %q is version %d, %v; should be %d", slot, key, rec.Seq, err, seq)
		}
	}
	if _, err := r.Lookup(slot, []byte("no such key")); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("a key that was never written: %v", err)
	}
}

func testModel(t *testing.T, open Open) {
	rapid.Check(t, func(rt *rapid.T) {
		s, restart := open(t)
		defer func() { _ = s.Close() }()
		m := newModel()
		for range rapid.IntRange(1, 12).Draw(rt, "batches") {
			snap, before := s.Snapshot(), m.clone()
			var b store.Batch
			for range rapid.IntRange(0, 8).Draw(rt, "steps") {
				m.step(rt, &b)
			}
			commit, err := s.Apply(&b)
			if err != nil {
				rt.Fatal(err)
			}
			if rapid.Bool().Draw(rt, "wait") {
				if err := commit.Wait(); err != nil {
					rt.Fatal(err)
				}
			}
			before.check(rt, snap)
			if err := snap.Close(); err != nil {
				rt.Fatal(err)
			}
			if rapid.IntRange(0, 4).Draw(rt, "restart") == 0 {
				s = restart()
			}
			m.check(rt, s)
		}
	})
}
