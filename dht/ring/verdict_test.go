package ring

import (
	"context"
	"testing"

	"dyschord/dht"
)

// A verdict on one run of a peer says nothing of a later one, heard of while the first
// was being judged.
func TestVerdictIsOnOneRun(t *testing.T) {
	w := perfect(t, 3, 10, 20, 30, 40, 50)
	a, m := w.members[10], w.members[30]
	old := m.Peer()
	m.Crash()
	w.do(10, func(context.Context) { a.Suspect(old) })
	m.Restart(m.setup)
	list := []dht.Peer{w.members[20].Peer(), m.Peer(), w.members[40].Peer()}
	w.do(10, func(context.Context) { a.setSuccessors(list) })
	if len(a.probing) != 1 {
		t.Fatal("the first run is not being judged")
	}
	w.net.RunFor(settle)
	if len(a.probing) > 0 || len(a.Successors()) != 3 || a.Successors()[1] != m.Peer() || len(a.Ring.lost) > 0 {
		t.Errorf("10 has the successors %v, and %v for lost", a.Successors(), a.Ring.lost)
	}
	w.do(10, func(context.Context) { a.Suspect(m.Peer()) }) // is no member yet
	w.net.RunFor(settle)
	w.expect(10, 50, 20, 40)
}

// A farther node that asked to be predecessor in a dead one's place comes too late if
// a closer one has taken it while the dead was being pinged.
func TestCloserPredecessorOvertakes(t *testing.T) {
	w := perfect(t, 2, 10, 20, 40)
	w.members[20].Crash()
	a := w.members[40]
	w.do(40, func(context.Context) { a.rectify(w.members[10].Peer()) })
	if !a.rectifying {
		t.Fatal("the predecessor is not being pinged")
	}
	w.start(30)
	if err := w.join(30, 10); err != nil {
		t.Fatal(err)
	}
	if !a.rectifying || a.Predecessor() != w.members[30].Peer() {
		t.Fatal("30 did not make itself known in time")
	}
	w.net.RunFor(settle)
	w.expect(40, 30, 10, 20)
}

// Entered next to a node that does not own its place, a newcomer does not search the
// ring for it: it takes what it has been told, and stabilizes.
func TestEnterBesideAWrongOwner(t *testing.T) {
	w := perfect(t, 3, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110)
	w.start(15)
	w.do(15, func(ctx context.Context) {
		if err := w.members[15].enter(ctx, w.members[40].Peer()); err != nil {
			t.Error(err)
		}
	})
	w.expect(15, 0, 40, 50, 60)
	if n := w.net.Stats().Requests; n != 1 {
		t.Errorf("it took %d requests", n)
	}
}
