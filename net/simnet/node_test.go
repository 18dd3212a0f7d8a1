package simnet

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"dyschord/dht"
)

func TestCrashStopsEverythingAtOnce(t *testing.T) {
	n, nodes, services := world(t, Config{}, 2)
	env := services[0].env
	steps, ticks, unwound, blocked := 0, 0, 0, false
	env.Every("tick", 10*ms, 0, func(context.Context) { ticks++ })
	sig := env.Signal()
	for _, wait := range []func(context.Context) error{
		func(ctx context.Context) error { return env.Sleep(ctx, time.Hour) },
		sig.Wait,
		func(ctx context.Context) error {
			_, err := dht.Call(ctx, env, nodes[1].Peer(), &hold{})
			return err
		},
		func(ctx context.Context) error {
			return env.Block(ctx, func() error { blocked = true; return nil })
		},
	} {
		nodes[0].Do("wait", func(ctx context.Context) {
			defer func() {
				unwound++
				sig.Notify() // wakes nobody of a dead node
				env.Go("late", func(context.Context) { steps++ })
				env.Sleep(ctx, time.Hour) // does not hold up the crash
			}()
			wait(ctx)
			steps++
		})
	}
	n.cfg.Disk = func(*Node) time.Duration { return 700 * ms }
	n.RunFor(500 * ms)
	before := ticks
	n.After(0, nodes[0].Crash)
	n.RunFor(time.Hour)
	if unwound != 4 || steps != 0 || blocked || ticks != before || before == 0 {
		t.Errorf("%d unwound, %d went on, disk %v, ticks %d then %d", unwound, steps, blocked, before, ticks)
	}
	if nodes[0].Alive() || nodes[0].Env() != nil || nodes[0].Do("more", nil) {
		t.Error("the node still runs")
	}
}

func TestCrashFromWithin(t *testing.T) {
	n, nodes, services := world(t, Config{}, 1)
	after := false
	nodes[0].Do("suicide", func(ctx context.Context) {
		nodes[0].Crash()
		services[0].env.Sleep(ctx, ms)
		after = true
	})
	n.RunFor(sec)
	if after || nodes[0].Alive() {
		t.Errorf("went on after its crash: %v", after)
	}
}

func TestRestartIsTheNextIncarnation(t *testing.T) {
	n, nodes, services := world(t, Config{}, 2)
	first := nodes[1].Peer()
	old := services[1].env
	draw := old.Rand().Uint64()
	call(t, nodes[0], services[0], nodes[1], &ping{N: 1})
	var held error
	nodes[0].Do("held", func(ctx context.Context) { _, held = dht.Call(ctx, services[0].env, first, &hold{}) })
	n.RunFor(sec)
	stale := services[1].held[0]
	nodes[1].Crash()
	nodes[1].Restart(func(env dht.Env) []dht.Service {
		services[1] = &echo{env: env}
		return []dht.Service{services[1]}
	})
	second := nodes[1].Peer()
	if !second.Same(first) || second.ID != first.ID || second.Inc != first.Inc+1 || services[1].env.Self() != second {
		t.Errorf("%+v was restarted as %+v", first, second)
	}
	if services[1].env.Rand().Uint64() == draw {
		t.Error("the restarted node draws the same random numbers")
	}
	stale.Send(&pong{}, nil)
	nodes[0].Await("call", sec, func(ctx context.Context) {
		calls := services[0].env.Calls()
		defer calls.Close()
		calls.Start(first, &ping{N: 2})
		if res, err := calls.Next(ctx); err != nil || res.Err != nil || res.To != first || res.From != second {
			t.Errorf("call under the old incarnation: %+v, %v", res, err)
		}
	})
	if !slices.Equal(services[1].got, []int{2}) {
		t.Errorf("the restarted node got %v", services[1].got)
	}
	if n.RunFor(time.Minute); !errors.Is(held, dht.ErrTimeout) {
		t.Errorf("a reply of the old run was: %v", held)
	}
}

func TestReplyToARestartedCallerIsDropped(t *testing.T) {
	var trace bytes.Buffer
	n, nodes, services := world(t, Config{Trace: &trace}, 2)
	nodes[0].Do("call", func(ctx context.Context) {
		dht.Call(ctx, services[0].env, nodes[1].Peer(), &ping{})
		t.Error("the old run got its reply")
	})
	n.After(5*ms, func() {
		nodes[0].Crash()
		nodes[0].Restart(func(dht.Env) []dht.Service { return nil })
	})
	n.RunFor(time.Minute)
	if text := trace.String(); !strings.Contains(text, "request") || strings.Contains(text, "response") {
		t.Errorf("trace:\n%s", text)
	}
}

func TestCrashBeforeAnActivityBegins(t *testing.T) {
	n, nodes, _ := world(t, Config{}, 1)
	nodes[0].Do("never", func(context.Context) { t.Error("it began on a dead node") })
	nodes[0].Crash()
	n.RunFor(sec)
}

func TestNodeThatStopsTakesNoRequests(t *testing.T) {
	n, nodes, services := world(t, Config{Disk: func(*Node) time.Duration { return 5 * sec }}, 2)
	nodes[1].Do("write", func(ctx context.Context) { services[1].env.Block(ctx, func() error { return nil }) })
	n.After(ms, func() { nodes[1].Stop() })
	n.RunFor(sec)
	if !nodes[1].Alive() {
		t.Fatal("it did not wait for the disk")
	}
	if _, err := call(t, nodes[0], services[0], nodes[1], &ping{}); !errors.Is(err, dht.ErrTimeout) || len(services[1].got) != 0 {
		t.Errorf("%v; the handler got %v", err, services[1].got)
	}
}

func TestStopWaitsForActivities(t *testing.T) {
	n, nodes, services := world(t, Config{Disk: func(*Node) time.Duration { return 3 * sec }}, 1)
	var slept, disk error
	wrote := false
	nodes[0].Do("sleeper", func(ctx context.Context) { slept = services[0].env.Sleep(ctx, time.Hour) })
	nodes[0].Do("writer", func(ctx context.Context) {
		disk = services[0].env.Block(ctx, func() error { wrote = true; return nil })
	})
	n.RunFor(sec)
	if err := nodes[0].Stop(); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(slept, dht.ErrClosed) || disk != nil || !wrote || nodes[0].Alive() || n.Now() != 3*sec {
		t.Errorf("sleep %v, disk %v (done %v), alive %v, at %v", slept, disk, wrote, nodes[0].Alive(), n.Now())
	}
	if err := nodes[0].Stop(); err != nil {
		t.Errorf("a second Stop: %v", err)
	}
}

func TestStopNamesWhatDoesNotEnd(t *testing.T) {
	_, nodes, services := world(t, Config{Disk: func(*Node) time.Duration { return time.Hour }}, 1)
	nodes[0].Do("stubborn", func(ctx context.Context) { services[0].env.Block(ctx, func() error { return nil }) })
	nodes[0].net.RunFor(ms)
	if err := nodes[0].Stop(); err == nil || !strings.Contains(err.Error(), "stubborn") {
		t.Errorf("Stop: %v", err)
	}
}

func TestPauseDelaysAllOfANode(t *testing.T) {
	n, nodes, services := world(t, Config{}, 2)
	var woke, answered, asked time.Duration
	n.After(ms, func() { nodes[1].Pause(5 * sec) })
	nodes[1].Do("sleep", func(ctx context.Context) {
		services[1].env.Sleep(ctx, sec)
		woke = n.Now()
	})
	nodes[1].Do("call", func(ctx context.Context) {
		if _, err := dht.Call(ctx, services[1].env, nodes[0].Peer(), &ping{}); err != nil {
			t.Errorf("the answer waited, and was given up: %v", err)
		}
		answered = n.Now()
	})
	n.After(2*sec, func() {
		nodes[1].Do("do", func(context.Context) { asked = n.Now() })
	})
	if _, err := call(t, nodes[0], services[0], nodes[1], &ping{}); !errors.Is(err, dht.ErrTimeout) {
		t.Errorf("call to a paused node: %v", err)
	}
	n.RunFor(10 * sec)
	for _, at := range []time.Duration{woke, answered, asked} {
		if at != 5*sec+ms {
			t.Errorf("after a pause until 5.001s: %v, %v, %v", woke, answered, asked)
		}
	}
	if len(services[1].got) != 1 {
		t.Errorf("the request that waited was handled %d times", len(services[1].got))
	}
}

func TestClockMayBeWrong(t *testing.T) {
	n, nodes, services := world(t, Config{}, 1)
	env := services[0].env
	nodes[0].SetClock(-time.Hour, 0.05)
	n.RunFor(100 * sec)
	if got := env.Now().Sub(epoch); got != -time.Hour+105*sec {
		t.Errorf("the clock shows %v after 100s", got)
	}
	nodes[0].Await("sleep", time.Minute, func(ctx context.Context) {
		before := n.Now()
		env.Sleep(ctx, sec)
		if n.Now()-before != sec {
			t.Errorf("a timer of 1s took %v", n.Now()-before)
		}
	})
}

func TestMoreNodesDoNotShiftOthers(t *testing.T) {
	_, few, services := world(t, Config{Seed: 9}, 3)
	_, many, others := world(t, Config{Seed: 9}, 30)
	for i := range few {
		if few[i].Peer() != many[i].Peer() || services[i].env.Rand().Uint64() != others[i].env.Rand().Uint64() {
			t.Errorf("node %d is %v among 3 and %v among 30", i, few[i], many[i])
		}
	}
	if _, other, _ := world(t, Config{Seed: 10}, 1); other[0].Peer() == few[0].Peer() {
		t.Error("another seed, the same node")
	}
}

func TestNarrowSpacesHaveDistinctNodes(t *testing.T) {
	n, nodes, _ := world(t, Config{Space: dht.Space{Bits: 4}}, 16)
	seen := map[dht.ID]bool{}
	for _, nd := range nodes {
		seen[nd.Peer().ID] = true
		if n.ByID(nd.Peer().ID) != nd || n.Lookup(nd.Peer().Ref) != nd {
			t.Errorf("%v is not found", nd)
		}
	}
	if len(seen) != 16 {
		t.Errorf("%d identifiers for 16 nodes", len(seen))
	}
	for name, add := range map[string]func(){
		"a seventeenth node": func() { n.Add(nil) },
		"a taken identifier": func() { n.AddID(dht.NewID(0, 3), nil) },
		"a wide identifier":  func() { n.AddID(dht.NewID(0, 16), nil) },
	} {
		if recovered(add) == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
