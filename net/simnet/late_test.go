package simnet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"dyschord/dht"
)

// overtakes counts how often a handler, and how often a timer, comes between a
// handler's Notify and the activity that waited for it.
func overtakes(t *testing.T, f Faults) (handlers, timers int) {
	n, nodes, services := world(t, Config{Seed: 3, Faults: f}, 2)
	s := services[1]
	sig, woken := s.env.Signal(), 0
	notified, ticks := 0, 0
	s.on = func(_ dht.Peer, _ dht.Message, r dht.Reply) bool {
		notified, ticks = notified+1, 0
		sig.Notify()
		r.Send(&pong{}, nil)
		return true
	}
	s.env.Every("tick", ms, 0, func(context.Context) { ticks++ })
	s.env.Go("wait", func(ctx context.Context) {
		for sig.Wait(ctx) == nil {
			if woken++; notified > woken {
				handlers++
				woken = notified
			}
			if ticks > 0 {
				timers++
			}
		}
	})
	nodes[0].Do("send", func(ctx context.Context) {
		calls := services[0].env.Calls()
		for range 1000 {
			calls.Start(nodes[1].Peer(), &ping{})
			services[0].env.Sleep(ctx, ms)
		}
		calls.Close()
	})
	n.RunFor(3 * sec)
	if notified != 1000 {
		t.Errorf("%d of 1000 requests arrived", notified)
	}
	return handlers, timers
}

func TestLateActivitiesAreOvertaken(t *testing.T) {
	if handlers, timers := overtakes(t, Faults{}); handlers+timers > 0 {
		t.Errorf("without the fault, %d handlers and %d timers came first", handlers, timers)
	}
	handlers, timers := overtakes(t, Faults{Late: 0.2})
	if handlers < 20 || timers < 50 {
		t.Errorf("%d handlers and %d timers came first", handlers, timers)
	}
}

// Activities that wait for the same are woken in any order; those that one activity
// starts begin in that order, and some later than the next event.
func TestReadyActivitiesAreShuffledButNotTheNewOnes(t *testing.T) {
	n, nodes, services := world(t, Config{Seed: 4, Faults: Faults{Late: 0.1}}, 1)
	s := services[0]
	orders, beganLate := map[string]bool{}, 0
	for range 50 {
		var woken, begun []int
		sig := s.env.Signal()
		for i := range 4 {
			s.env.Go("wait", func(ctx context.Context) {
				begun = append(begun, i)
				sig.Wait(ctx)
				woken = append(woken, i)
			})
		}
		n.After(ms, func() { beganLate += 4 - len(begun) })
		n.RunFor(20 * ms)
		nodes[0].Do("notify", func(context.Context) { sig.Notify() })
		n.RunFor(20 * ms)
		if !slices.Equal(begun, []int{0, 1, 2, 3}) || len(woken) != 4 {
			t.Fatalf("begun in the order %v, woken %v", begun, woken)
		}
		orders[fmt.Sprint(woken)] = true
	}
	if len(orders) < 10 || beganLate == 0 {
		t.Errorf("%d orders of 24, %d began after the next event", len(orders), beganLate)
	}
}

// A late activity ends with its node.
func TestLateActivityCanBeStoppedAndKilled(t *testing.T) {
	for _, kill := range []bool{false, true} {
		n, nodes, services := world(t, Config{Faults: Faults{Late: 1, LateBy: sec}}, 1)
		var errs []error
		deferred := false
		nodes[0].Do("wait", func(ctx context.Context) {
			defer func() { deferred = true }()
			for range 2 {
				errs = append(errs, services[0].env.Sleep(ctx, ms))
			}
		})
		n.RunFor(2 * ms)
		if kill {
			nodes[0].Crash()
		} else if err := nodes[0].Stop(); err != nil {
			t.Fatal(err)
		}
		if n.Stats().Delayed != 1 || !deferred || kill != (len(errs) == 0) {
			t.Errorf("killed %v: %d late, the waits ended with %v", kill, n.Stats().Delayed, errs)
		}
		if !kill && (len(errs) != 2 || errs[0] != nil || !errors.Is(errs[1], dht.ErrClosed)) {
			t.Errorf("the waits ended with %v", errs)
		}
	}
}

func TestDiskJitter(t *testing.T) {
	n, nodes, services := world(t, Config{Faults: Faults{DiskJitter: 10 * ms}}, 1)
	took := map[int64]bool{}
	for range 100 {
		began := n.now
		nodes[0].Await("write", sec, func(ctx context.Context) {
			services[0].env.Block(ctx, func() error { return nil })
		})
		d := n.now - began
		if d < int64(ms) || d >= int64(11*ms) {
			t.Errorf("a write took %d ns", d)
		}
		took[d] = true
	}
	if len(took) < 90 {
		t.Errorf("%d different times of 100", len(took))
	}
}

// A node that stood still finds deadlines that have passed; time goes on all the same.
func TestDeadlineThatPassedDuringAPause(t *testing.T) {
	n, nodes, services := world(t, Config{}, 1)
	env := services[0].env
	var err error
	nodes[0].Do("work", func(ctx context.Context) {
		outer, cancel := env.WithTimeout(ctx, sec)
		defer cancel()
		env.Sleep(outer, 600*ms)
		inner, cancelInner := env.WithTimeout(outer, sec)
		defer cancelInner()
		err = env.Sleep(inner, 10*sec)
	})
	n.RunFor(500 * ms)
	nodes[0].Pause(3 * sec)
	n.RunFor(3100 * ms)
	if !errors.Is(err, context.DeadlineExceeded) || n.Now() != 3600*ms {
		t.Errorf("the work ended with %v, at %v", err, n.Now())
	}
}
