package ring

import (
	"context"
	"errors"
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

// From the moment when the list has died until the nearest live node is found, by way
// of some that are too far away, no owner is named as sure; then owners are again.
func TestNothingIsSureUntilTheGapIsClosed(t *testing.T) {
	w := perfect(t, 2, 10, 20, 30, 35, 40, 45, 55, 100, 110)
	a := w.members[10]
	a.table = []dht.Peer{w.members[20].Peer(), w.members[100].Peer()}
	for _, id := range []uint64{20, 30} {
		w.members[id].Crash()
		a.lose(w.members[id].Peer())
	}
	done, tooFar := false, 0
	a.Do("stabilize", func(ctx context.Context) {
		a.Stabilize(ctx)
		done = true
	})
	w.net.RunUntil(func() bool {
		owners, sure := a.Near(dht.NewID(0, 32), 2, nil)
		if len(a.Successors()) > 0 && a.Successor() != w.members[35].Peer() {
			tooFar++
		}
		if sure && list(owners) != "[35 40]" {
			t.Fatalf("at %v %s are named as sure", w.net.Now(), list(owners))
		}
		if a.Owns(dht.NewID(0, 32)) || !a.Owns(dht.NewID(0, 5)) {
			t.Fatalf("at %v it owns what lies beyond, or not its own", w.net.Now())
		}
		return done
	}, settle)
	if tooFar == 0 {
		t.Error("the way back did not begin too far away: nothing was tested")
	}
	w.rounds(2)
	w.expect(10, 110, 35, 40)
	if owners, sure := a.Near(dht.NewID(0, 32), 2, nil); !sure || list(owners) != "[35 40]" {
		t.Errorf("in the end %s are named, sure %v", list(owners), sure)
	}
}

// A death beyond the gap does not close it.
func TestDeathBeyondTheGap(t *testing.T) {
	w := perfect(t, 2, 10, 20, 30, 35, 100, 110)
	a := w.members[10]
	a.table = []dht.Peer{w.members[100].Peer()}
	a.lose(w.members[20].Peer())
	a.lose(w.members[30].Peer())
	w.do(10, func(ctx context.Context) { a.stabilize2(ctx, w.members[100].Peer()) })
	a.lose(w.members[110].Peer())
	if owners, sure := a.Near(dht.NewID(0, 32), 1, nil); sure || list(owners) != "[100]" {
		t.Errorf("%s are named, sure %v", list(owners), sure)
	}
}

// A node that leaves while it looks for the way back, and founds a ring, is all of it.
func TestGapDoesNotOutliveTheMembership(t *testing.T) {
	w := perfect(t, 2, 10, 20, 30, 100)
	a := w.members[10]
	a.table = []dht.Peer{w.members[100].Peer()}
	a.lose(w.members[20].Peer())
	a.lose(w.members[30].Peer())
	w.do(10, func(ctx context.Context) {
		if err := errors.Join(a.Leave(ctx), a.Join(ctx, nil)); err != nil {
			t.Error(err)
		}
	})
	if id := dht.NewID(0, 50); !a.Owns(id) || !a.Sure(id, 1) {
		t.Error("the founder does not own everything")
	}
}

// When nobody is left who might be alive, there is no gap to look beyond.
func TestLastOfTwoOwnsAll(t *testing.T) {
	w := perfect(t, 2, 10, 20)
	a := w.members[10]
	a.lose(w.members[20].Peer())
	if id := dht.NewID(0, 15); !a.Owns(id) || !a.Sure(id, 1) {
		t.Error("the last node does not own everything at once")
	}
}
