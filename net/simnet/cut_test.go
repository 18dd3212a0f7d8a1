package simnet

import (
	"context"
	"errors"
	"slices"
	"testing"

	"dyschord/dht"
)

func TestCutEndsAllRequestsUnderWayAtOnce(t *testing.T) {
	n, nodes, services := world(t, Config{Seed: 1}, 3)
	var results []dht.Result
	var at []int64
	for from, to := range []int{0: 1, 1: 0, 2: 1} {
		nodes[from].Do("calls", func(ctx context.Context) {
			calls := services[from].env.Calls()
			defer calls.Close()
			calls.Start(nodes[to].Peer(), &hold{N: from})
			services[from].env.Sleep(ctx, 60*ms)
			calls.Start(nodes[to].Peer(), &ping{N: 10 + from})
			calls.Start(nodes[to].Peer(), &hold{N: 20 + from})
			for calls.Pending() > 0 {
				res, err := calls.Next(ctx)
				if err != nil {
					return
				}
				if from < 2 {
					results, at = append(results, res), append(at, n.now)
				}
			}
		})
	}
	n.RunFor(65 * ms) // the second and third are half way
	n.CutFor(nodes[0], nodes[1], sec)
	n.RunFor(200 * ms)
	if len(results) != 6 {
		t.Fatalf("%d of 6 requests ended with the connection", len(results))
	}
	for i, res := range results {
		if !errors.Is(res.Err, dht.ErrTimeout) || at[i] != int64(65*ms) {
			t.Errorf("request %d ended at %d with %v", i, at[i], res.Err)
		}
	}
	if !slices.Contains(services[1].got, 12) || !slices.Contains(services[1].got, 22) {
		t.Errorf("the handler got %v: requests of others were lost too", services[1].got)
	}
	for _, r := range services[0].held {
		r.Send(&pong{}, nil) // nobody waits
	}
	n.RunFor(200 * ms)
	if s := n.Stats(); s.Cuts != 1 || s.Late != 0 || s.Lost != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestCutLetsAPrefixOfTheRequestsArrive(t *testing.T) {
	full, none, part := 0, 0, 0
	for seed := range uint64(40) {
		n, nodes, services := world(t, Config{Seed: seed}, 2)
		nodes[0].Do("send", func(ctx context.Context) {
			calls := services[0].env.Calls()
			for i := range 5 {
				calls.Start(nodes[1].Peer(), &ping{N: i})
				services[0].env.Sleep(ctx, 2*ms)
			}
			calls.Close()
		})
		n.RunFor(9 * ms)
		n.Cut(nodes[0], nodes[1])
		n.RunFor(sec)
		got := services[1].got
		for i, v := range got {
			if v != i {
				t.Errorf("seed %d: the handler got %v", seed, got)
			}
		}
		switch len(got) {
		case 5:
			full++
		case 0:
			none++
		default:
			part++
		}
	}
	if none == 0 || part == 0 {
		t.Errorf("of 40 cuts, %d lost nothing, %d all, %d some", full, none, part)
	}
}

func TestAfterACutCallsFailAtOnceForAWhile(t *testing.T) {
	n, nodes, services := world(t, Config{}, 3)
	n.CutFor(nodes[0], nodes[1], 500*ms)
	for range 3 {
		began := n.now
		if _, err := call(t, nodes[0], services[0], nodes[1], &ping{}); !errors.Is(err, dht.ErrUnreachable) || n.now != began {
			t.Errorf("a call after the cut: %v after %d ns", err, n.now-began)
		}
	}
	if _, err := call(t, nodes[0], services[0], nodes[2], &ping{}); err != nil {
		t.Errorf("a call to somebody else: %v", err)
	}
	n.RunFor(500 * ms)
	if _, err := call(t, nodes[0], services[0], nodes[1], &ping{}); err != nil {
		t.Errorf("a call after the back-off: %v", err)
	}
}

func TestCutsAreAsOftenAsConfiguredAndRepeatable(t *testing.T) {
	run := func(seed uint64) (uint64, Stats) {
		n, nodes, services := world(t, Config{Seed: seed, CheckCodec: true, Faults: Faults{Cut: 0.02, Duplicate: 0.1, Jitter: 5 * ms}}, 4)
		for i := range nodes {
			s, to := services[i], nodes[(i+1)%4].Peer()
			s.env.Every("chat", 50*ms, ms, func(ctx context.Context) {
				for range 3 {
					dht.Call(ctx, s.env, to, &ping{})
				}
			})
		}
		n.RunFor(10 * 60 * sec)
		return n.TraceHash(), n.Stats()
	}
	one, s := run(1)
	if again, _ := run(1); again != one {
		t.Error("the same seed gave two traces")
	}
	if share := float64(s.Cuts) / float64(s.Requests); share < 0.015 || share > 0.025 {
		t.Errorf("%d cuts for %d requests", s.Cuts, s.Requests)
	}
}
