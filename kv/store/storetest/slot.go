package storetest

import (
	"fmt"
	"math"
	"testing"

	"dyschord/kv/store"
)

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
