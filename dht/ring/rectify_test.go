package ring

import (
	"context"
	"testing"

	"dyschord/dht"
)

func TestRectify(t *testing.T) {
	notify := func(w *world, from, to uint64) {
		w.do(from, func(ctx context.Context) {
			if _, err := dht.Ask[*here](ctx, w.members[from].env, w.members[to].Peer(), &notify{}); err != nil {
				t.Errorf("notify: %v", err)
			}
		})
		w.net.RunFor(settle)
	}
	t.Run("closer node becomes predecessor", func(t *testing.T) {
		w := perfect(t, 2, 10, 20, 40)
		w.start(30)
		notify(w, 30, 40)
		w.expect(40, 30, 10, 20)
	})
	t.Run("farther node does not while the predecessor lives", func(t *testing.T) {
		w := perfect(t, 2, 10, 20, 40)
		notify(w, 10, 40)
		w.expect(40, 20, 10, 20)
	})
	t.Run("farther node does when the predecessor is dead", func(t *testing.T) {
		w := perfect(t, 2, 10, 20, 40)
		w.members[20].Crash()
		w.expect(40, 20, 10, 20)
		notify(w, 10, 40)
		w.expect(40, 10, 10)
	})
	t.Run("dead predecessor stays until somebody takes its place", func(t *testing.T) {
		w := perfect(t, 2, 10, 20, 40)
		w.members[20].Crash()
		w.do(40, w.members[40].Stabilize)
		w.net.RunFor(settle)
		if got := w.members[40].Predecessor().ID.Lo(); got != 20 {
			t.Errorf("the predecessor is %d, want 20 still", got)
		}
	})
	t.Run("a new run replaces the old one", func(t *testing.T) {
		w := perfect(t, 2, 10, 20, 40)
		m := w.members[20]
		m.Crash()
		m.Restart(m.setup)
		notify(w, 20, 40)
		if p := w.members[40].Predecessor(); p != m.Peer() {
			t.Errorf("the predecessor is run %d, want %d", p.Inc, m.Peer().Inc)
		}
	})
}

// A better successor that turns out to be dead must not keep a node from making
// itself known: its successor would keep the dead one as predecessor for ever.
func TestDeadBetterSuccessorIsRectified(t *testing.T) {
	w := perfect(t, 2, 10, 20, 30)
	w.start(25)
	if err := w.join(25, 10); err != nil {
		t.Fatal(err)
	}
	w.expect(30, 25, 10, 20)
	w.members[25].Crash()
	w.do(20, w.members[20].Stabilize)
	w.net.RunFor(settle)
	w.expect(30, 20, 10, 20)
	w.expect(20, 10, 30, 10)
}

func TestSuspicionIsProbed(t *testing.T) {
	w := perfect(t, 3, 10, 20, 30, 40, 50)
	w.members[30].Crash()
	w.do(10, func(context.Context) {
		w.members[10].Suspect(w.members[20].Peer()) // slander
		w.members[10].Suspect(w.members[30].Peer())
	})
	w.net.RunFor(settle)
	w.expect(10, 50, 20, 40)
}

// However often they are suspected, peers that live are pinged once in an interval, the
// successor that has just been read not at all, and not more than maxProbing of them.
func TestSuspicionsAreFew(t *testing.T) {
	ids := []uint64{10}
	for i := range uint64(14) {
		ids = append(ids, 20+10*i)
	}
	w := perfect(t, 14, ids...)
	a := w.members[10]
	storm := func(peers ...uint64) uint64 {
		before := w.net.Stats().Requests
		for range 20 {
			w.do(10, func(context.Context) {
				for _, id := range peers {
					a.Suspect(w.members[id].Peer())
				}
			})
			w.net.RunFor(50 * ms)
		}
		return w.net.Stats().Requests - before
	}
	w.do(10, a.Round)
	if n := storm(20); n != 0 {
		t.Errorf("the successor, which has answered, is asked %d times", n)
	}
	if n := storm(30, 40); n != 2 {
		t.Errorf("two suspects are asked %d times in an interval", n)
	}
	w.do(10, a.Round)
	if n := storm(ids[2:]...); n != maxProbing {
		t.Errorf("%d suspects are asked %d times in an interval", len(ids)-2, n)
	}
	w.do(10, a.Round)
	w.members[20].Crash()
	if n := storm(20); n != 0 {
		t.Errorf("the successor, which has answered, is asked %d times", n)
	}
	w.do(10, func(ctx context.Context) { a.adopt(ctx, w.members[30].Peer()) })
	a.setSuccessors(append([]dht.Peer{w.members[20].Peer()}, a.Successors()...))
	storm(20)
	w.net.RunFor(settle)
	if a.Successor() != w.members[30].Peer() {
		t.Error("a new successor, which has not answered, is not probed")
	}
}
