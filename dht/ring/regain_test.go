package ring

import (
	"testing"

	"dyschord/dht"
)

// A node whose whole list dies at once finds the next that lives, beyond the gap, by
// way of somebody in the overlay's table: at once, and not step by step round the ring.
func TestWholeListLost(t *testing.T) {
	w := perfect(t, 2, 10, 20, 30, 100, 110, 120, 130, 140, 150, 160)
	a := w.members[10]
	a.table = []dht.Peer{a.env.Self(), w.members[20].Peer(), w.members[140].Peer()}
	for _, id := range []uint64{20, 30} {
		w.members[id].Crash()
	}
	w.do(10, a.Stabilize)
	w.expect(10, 160, 100, 110)
}

// While it looks, it does not take itself for the owner of everything; when it has
// found that nobody else is left, it does.
func TestLostListIsNoWholeRing(t *testing.T) {
	w := perfect(t, 2, 10, 20, 30, 100)
	a := w.members[10]
	a.table = []dht.Peer{w.members[100].Peer()}
	for _, id := range []uint64{20, 30} {
		a.lose(w.members[id].Peer())
	}
	far := dht.NewID(0, 50)
	if a.Owns(far) || len(a.Owners(far, 1)) > 0 || a.Sure(far, 1) || !a.Owns(dht.NewID(0, 5)) {
		t.Errorf("a node that has lost its list owns %v", a.Owners(far, 1))
	}
	for _, id := range []uint64{20, 30, 100} {
		w.members[id].Crash()
	}
	w.do(10, a.Stabilize)
	if !a.Owns(far) || !a.Sure(far, 1) {
		t.Error("the last node does not own everything")
	}
}
