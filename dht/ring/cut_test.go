package ring

import (
	"testing"
	"time"
)

// A connection that is lost and made again a second later is no death: the tries that
// fail at once, in between, are no more evidence than one time-out.
func TestLostConnectionIsNoDeath(t *testing.T) {
	w := perfect(t, 2, 10, 20, 30, 40)
	a, b := w.members[10], w.members[20]
	w.net.After(5*ms, func() { w.net.CutFor(a.Node, b.Node, time.Second) })
	w.do(10, a.Stabilize)
	if w.net.Now() < time.Second || w.net.Now() > deadAfter {
		t.Errorf("the round took %v", w.net.Now())
	}
	w.expect(10, 40, 20, 30)
	for _, m := range w.members {
		if len(m.lost) > 0 {
			t.Errorf("%s took %v for dead", m.Node, m.lost)
		}
	}
}

// A peer that stays out of reach is dead all the same, and soon.
func TestPeerOutOfReachIsDead(t *testing.T) {
	w := perfect(t, 2, 10, 20, 30, 40)
	w.net.CutFor(w.members[10].Node, w.members[20].Node, time.Minute)
	w.do(10, w.members[10].Stabilize)
	if w.net.Now() > deadAfter {
		t.Errorf("it took %v", w.net.Now())
	}
	w.expect(10, 40, 30, 40)
}

// A node that shuts down does not wait for the tries to be over.
func TestStopEndsTheTries(t *testing.T) {
	w := perfect(t, 2, 10, 20, 30)
	a := w.members[10]
	w.net.CutFor(a.Node, w.members[20].Node, time.Minute)
	a.Do("round", a.Round)
	w.net.RunFor(ms)
	if err := a.Stop(); err != nil || w.net.Now() > 10*ms || len(a.lost) > 0 {
		t.Errorf("stopped after %v (%v), %v taken for dead", w.net.Now(), err, a.lost)
	}
}
