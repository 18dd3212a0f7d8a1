package simnet

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/internal/rto"
)

// call lets one node call another and returns how it ended.
func call(t *testing.T, from *Node, s *echo, to *Node, req dht.Message) (dht.Message, error) {
	t.Helper()
	var msg dht.Message
	var err error
	if !from.Await("call", time.Hour, func(ctx context.Context) {
		msg, err = dht.Call(ctx, s.env, to.Peer(), req)
	}) {
		t.Fatal("the call did not end within an hour")
	}
	return msg, err
}

func TestLossIsAsOftenAsConfigured(t *testing.T) {
	const calls = 4000
	n, nodes, services := world(t, Config{Faults: Faults{Loss: 0.1}}, 2)
	failed := 0
	for range calls {
		if _, err := call(t, nodes[0], services[0], nodes[1], &ping{}); errors.Is(err, dht.ErrTimeout) {
			failed++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	// A call fails with 1 - 0.9^2; five standard deviations are allowed.
	want, allow := 0.19*calls, 5*math.Sqrt(calls*0.19*0.81)
	if math.Abs(float64(failed)-want) > allow {
		t.Errorf("%d of %d calls failed, want %.0f ± %.0f", failed, calls, want, allow)
	}
	s := n.Stats()
	if int(s.Lost) != failed || int(s.Timeouts) != failed || s.Kinds[1].Name != "ping" || s.Kinds[1].Sent != calls {
		t.Errorf("stats %+v for %d failures", s, failed)
	}
}

func TestDuplicateIsDeliveredTwiceAndAnsweredOnce(t *testing.T) {
	n, nodes, services := world(t, Config{Faults: Faults{Duplicate: 1}}, 2)
	results := 0
	nodes[0].Await("calls", sec, func(ctx context.Context) {
		calls := services[0].env.Calls()
		defer calls.Close()
		for i := range 10 {
			calls.Start(nodes[1].Peer(), &ping{N: i})
		}
		for calls.Pending() > 0 {
			if res, err := calls.Next(ctx); err != nil || res.Err != nil {
				t.Error(err, res.Err)
			}
			results++
		}
	})
	n.RunFor(sec)
	slices.Sort(services[1].got)
	if want := []int{0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9}; !slices.Equal(services[1].got, want) || results != 10 {
		t.Errorf("handler got %v, caller %d results", services[1].got, results)
	}
	if n.Stats().Duplicated != 10 {
		t.Errorf("%d duplicates counted", n.Stats().Duplicated)
	}
}

func TestJitterKeepsOrderAndReorderBreaksIt(t *testing.T) {
	for _, c := range []struct {
		faults Faults
		sorted bool
	}{
		{Faults{Jitter: 200 * ms}, true},
		{Faults{Jitter: 10 * ms, Reorder: 0.2, ReorderBy: 500 * ms}, false},
	} {
		n, nodes, services := world(t, Config{Faults: c.faults}, 2)
		nodes[0].Do("send", func(ctx context.Context) {
			calls := services[0].env.Calls()
			for i := range 100 {
				calls.Start(nodes[1].Peer(), &ping{N: i})
				services[0].env.Sleep(ctx, ms)
			}
			calls.Close()
		})
		n.RunFor(3 * sec)
		if len(services[1].got) != 100 || slices.IsSorted(services[1].got) != c.sorted {
			t.Errorf("%+v: handler got %v", c.faults, services[1].got)
		}
	}
}

func TestLinksAreOneWay(t *testing.T) {
	n, nodes, services := world(t, Config{}, 2)
	n.SetLink(func(from, to *Node) bool { return from == nodes[0] })
	if _, err := call(t, nodes[0], services[0], nodes[1], &ping{N: 1}); !errors.Is(err, dht.ErrTimeout) {
		t.Errorf("call without a way back: %v", err)
	}
	if _, err := call(t, nodes[1], services[1], nodes[0], &ping{N: 2}); !errors.Is(err, dht.ErrTimeout) {
		t.Errorf("call without a way there: %v", err)
	}
	if len(services[1].got) != 1 || len(services[0].got) != 0 {
		t.Errorf("handlers got %v and %v", services[1].got, services[0].got)
	}
	n.Heal()
	if _, err := call(t, nodes[1], services[1], nodes[0], &ping{}); err != nil {
		t.Errorf("after healing: %v", err)
	}
}

func TestPartitionCutsBetweenGroupsOnly(t *testing.T) {
	n, nodes, services := world(t, Config{}, 5)
	n.Partition(nodes[:2], nodes[2:4])
	for i, want := range []bool{0: true, 1: true, 2: false, 3: false, 4: false} {
		if i == 0 {
			continue
		}
		if _, err := call(t, nodes[0], services[0], nodes[i], &ping{}); (err == nil) != want {
			t.Errorf("0 to %d: %v", i, err)
		}
	}
	if _, err := call(t, nodes[2], services[2], nodes[3], &ping{}); err != nil {
		t.Errorf("2 to 3: %v", err)
	}
}

func TestClogHoldsBackAndKeepsOrder(t *testing.T) {
	n, nodes, services := world(t, Config{}, 2)
	n.Clog(func(from, to *Node) bool { return to == nodes[1] })
	var errs []error
	nodes[0].Do("send", func(ctx context.Context) {
		for i := range 3 {
			_, err := dht.Call(ctx, services[0].env, nodes[1].Peer(), &ping{N: i})
			errs = append(errs, err)
		}
	})
	n.RunFor(30 * sec)
	if len(services[1].got) != 0 || len(errs) != 3 || !errors.Is(errs[0], dht.ErrTimeout) {
		t.Fatalf("clogged: handler got %v, calls ended as %v", services[1].got, errs)
	}
	n.Unclog()
	n.RunFor(sec)
	if !slices.Equal(services[1].got, []int{0, 1, 2}) || n.Stats().Late != 3 {
		t.Errorf("unclogged: handler got %v, %d late replies", services[1].got, n.Stats().Late)
	}
}

func TestTimeoutsAreLearnt(t *testing.T) {
	n, nodes, services := world(t, Config{}, 2)
	for range 50 {
		call(t, nodes[0], services[0], nodes[1], &ping{})
	}
	nodes[1].Crash()
	start := n.Now()
	if _, err := call(t, nodes[0], services[0], nodes[1], &ping{}); !errors.Is(err, dht.ErrTimeout) {
		t.Fatal(err)
	}
	if took := n.Now() - start; took != 220*ms {
		t.Errorf("gave up after %v, want 220ms: a round trip of 20ms and the margin", took)
	}
}

func TestLateReplyIsATimeoutThatTeaches(t *testing.T) {
	slow := 10 * ms
	n, nodes, services := world(t, Config{Latency: LatencyFunc(func(_, _ *Node) time.Duration { return slow })}, 2)
	for range 20 {
		call(t, nodes[0], services[0], nodes[1], &ping{})
	}
	slow = 400 * ms
	if _, err := call(t, nodes[0], services[0], nodes[1], &ping{}); !errors.Is(err, dht.ErrTimeout) {
		t.Fatalf("reply after 800ms, expected after 20ms: %v", err)
	}
	n.RunFor(sec)
	if _, err := call(t, nodes[0], services[0], nodes[1], &ping{}); err != nil {
		t.Errorf("the second: %v, though the late reply taught", err)
	}
	if n.Stats().Late != 1 {
		t.Errorf("%d late replies", n.Stats().Late)
	}
}

func TestLateReplyDoesNotChangeAResult(t *testing.T) {
	n, nodes, services := world(t, Config{Timeouts: rto.Config{Ceiling: sec}}, 2)
	nodes[0].Await("calls", time.Minute, func(ctx context.Context) {
		calls := services[0].env.Calls()
		defer calls.Close()
		calls.Start(nodes[1].Peer(), &hold{})
		services[0].env.Sleep(ctx, 2*sec)
		services[1].held[0].Send(&pong{}, nil)
		services[0].env.Sleep(ctx, sec)
		if res, err := calls.Next(ctx); err != nil || !errors.Is(res.Err, dht.ErrTimeout) || res.Msg != nil || !res.From.IsZero() || res.RTT != sec {
			t.Errorf("%+v, %v", res, err)
		}
	})
	if n.Stats().Late != 1 {
		t.Errorf("%d late replies", n.Stats().Late)
	}
}

func TestRequestThatWaitsForOthersEndsWithItsConnection(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(n *Net, server *Node)
		want  time.Duration
	}{
		"nothing": {func(*Net, *Node) {}, time.Minute},
		"crash":   {func(_ *Net, server *Node) { server.Crash() }, 20*sec + 10*ms},
		"cut":     {func(n *Net, server *Node) { n.Partition([]*Node{server}) }, 20*sec + 10*ms},
	} {
		n, nodes, services := world(t, Config{}, 2)
		n.After(15*sec, func() { c.spoil(n, nodes[1]) })
		if _, err := call(t, nodes[0], services[0], nodes[1], &hold{}); !errors.Is(err, dht.ErrTimeout) || n.Now() != c.want {
			t.Errorf("%s: %v after %v, want a time-out after %v", name, err, n.Now(), c.want)
		}
	}
}

func TestRefusedConnectionFailsAfterARoundTrip(t *testing.T) {
	n, nodes, services := world(t, Config{Refuse: true}, 2)
	nodes[1].Crash()
	if _, err := call(t, nodes[0], services[0], nodes[1], &ping{}); !errors.Is(err, dht.ErrUnreachable) || n.Now() != 20*ms {
		t.Errorf("%v after %v", err, n.Now())
	}
}

func TestRequestsInFlightAreBounded(t *testing.T) {
	n, nodes, services := world(t, Config{InFlight: 10, Owed: 5}, 2)
	results := map[error]int{}
	nodes[0].Await("calls", time.Hour, func(ctx context.Context) {
		calls := services[0].env.Calls()
		defer calls.Close()
		for i := range 20 {
			calls.Start(nodes[1].Peer(), &hold{N: i})
		}
		n.After(sec, func() {
			for _, r := range services[1].held {
				r.Send(&pong{}, nil)
			}
		})
		for calls.Pending() > 0 {
			res, _ := calls.Next(ctx)
			switch {
			case errors.Is(res.Err, dht.ErrBusy) && res.RTT == 0:
				results[dht.ErrBusy]++
			case errors.Is(res.Err, dht.ErrBusy):
				results[dht.ErrRejected]++
			case res.Err == nil:
				results[nil]++
			}
		}
	})
	if results[dht.ErrBusy] != 10 || results[dht.ErrRejected] != 5 || results[nil] != 5 {
		t.Errorf("of 20: %v refused here, %v there, %v answered; want 10, 5, 5", results[dht.ErrBusy], results[dht.ErrRejected], results[nil])
	}
	if _, err := call(t, nodes[0], services[0], nodes[1], &ping{}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestConfigIsValidated(t *testing.T) {
	for _, c := range []Config{
		{Space: dht.Space{Bits: 3}},
		{Faults: Faults{Loss: 1.5}},
		{Faults: Faults{Duplicate: math.NaN()}},
		{Faults: Faults{Jitter: -1}},
		{InFlight: -1},
		{Bytes: -1},
	} {
		if err := c.Validate(); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
	if err := (Config{}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestLatencyModels(t *testing.T) {
	_, nodes, _ := world(t, Config{Seed: 5}, 200)
	var mean float64
	for _, m := range []Latency{
		Uniform{10 * ms, 50 * ms},
		Plane{Side: 150 * ms},
		Plane{Side: 150 * ms, Access: 10 * ms, Min: ms},
		Matrix{OneWay: [][]time.Duration{{0, 30 * ms}, {30 * ms, 0}}, Local: ms},
	} {
		mean = 0
		for i, a := range nodes {
			for _, b := range nodes[:i] {
				d := m.Delay(a, b)
				if d != m.Delay(b, a) || d != m.Delay(a, b) || d < 0 || d > 250*ms {
					t.Fatalf("%T: %v one way, %v back", m, d, m.Delay(b, a))
				}
				mean += d.Seconds() * 1000 / float64(200*199/2)
			}
		}
		switch m := m.(type) {
		case Uniform:
			if mean < 29 || mean > 31 {
				t.Errorf("uniform 10 to 50 ms has mean %.1f ms", mean)
			}
		case Plane: // the mean distance of two points on a unit square is 0.5214
			if want := 0.5214*150 + m.Access.Seconds()*1000; math.Abs(mean-want) > 5 {
				t.Errorf("%+v has mean %.1f ms, want about %.1f", m, mean, want)
			}
		case Matrix:
			if mean < 14 || mean > 17 {
				t.Errorf("matrix of 1 and 30 ms has mean %.1f ms", mean)
			}
		}
	}
}
