package simnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"dyschord/dht"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recovered runs f and returns what it panics with.
func recovered(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

func TestQueueIsOrdered(t *testing.T) {
	var q queue
	r := rand.New(rand.NewPCG(1, 2))
	var want []event
	for range 5000 {
		at := r.Int64N(500)
		want = append(want, event{at: at, seq: q.push(at, nil)})
		if r.IntN(3) == 0 {
			sort.Slice(want, func(i, j int) bool { return want[i].before(&want[j]) })
			if got := q.pop(); got != want[0] {
				t.Fatalf("popped %v, want %v", got, want[0])
			}
			want = want[1:]
		}
	}
	sort.Slice(want, func(i, j int) bool { return want[i].before(&want[j]) })
	for i := range want {
		if got := q.pop(); got != want[i] {
			t.Fatalf("popped %v, want %v", got, want[i])
		}
	}
}

// marked is an action that is off for the numbers marked so.
type marked map[uint64]bool

func (marked) fire(uint64)           {}
func (m marked) off(seq uint64) bool { return m[seq] }

func TestQueueDropsWhatIsCalledOff(t *testing.T) {
	var q queue
	r := rand.New(rand.NewPCG(3, 4))
	called := marked{}
	var want []event
	for range 20_000 {
		at := r.Int64N(1000)
		if seq := q.push(at, called); r.IntN(10) > 0 {
			called[seq] = true
			q.calledOff()
		} else {
			want = append(want, event{at: at, seq: seq})
		}
	}
	if len(q.events) > len(want)*4/3+2048 {
		t.Errorf("%d events are held for %d that are due", len(q.events), len(want))
	}
	sort.Slice(want, func(i, j int) bool { return want[i].before(&want[j]) })
	for len(q.events) > 0 {
		if got := q.pop(); got.act.off(got.seq) {
			continue
		} else if len(want) == 0 || got.at != want[0].at || got.seq != want[0].seq {
			t.Fatalf("popped %v, want %v", got, want[0])
		}
		want = want[1:]
	}
	if len(want) > 0 {
		t.Errorf("%d events are lost", len(want))
	}
}

func TestDeadlinesThatAreNotReachedCostNothing(t *testing.T) {
	n, nodes, services := world(t, Config{}, 2)
	nodes[0].Await("many", time.Hour, func(ctx context.Context) {
		for range 20_000 {
			brief, cancel := services[0].env.WithTimeout(ctx, 24*time.Hour)
			dht.Call(brief, services[0].env, nodes[1].Peer(), &ping{})
			cancel()
		}
	})
	if held := len(n.queue.events); held > 3000 || n.Events() > 50_000 {
		t.Errorf("%d events in the queue, %d were run", held, n.Events())
	}
}

func TestRunForAdvancesTheClockExactly(t *testing.T) {
	n, _, _ := world(t, Config{}, 0)
	var at []time.Duration
	for _, d := range []time.Duration{3 * sec, sec, 3 * sec, 0} {
		n.After(d, func() { at = append(at, n.Now()) })
	}
	n.At(2*sec, func() { n.After(time.Hour, func() { at = append(at, n.Now()) }) })
	n.RunFor(10 * sec)
	if fmt.Sprint(at) != "[0s 1s 3s 3s]" || n.Now() != 10*sec {
		t.Errorf("callbacks at %v, now %v", at, n.Now())
	}
	if n.RunUntil(func() bool { return n.Now() > 2*time.Hour }, 3*time.Hour) || n.Now() != 3*time.Hour+10*sec {
		t.Errorf("no event made the condition true, and it was found true at %v", n.Now())
	}
}

// storm is a run with everything in it: churn, faults, pauses, calls that end in
// every way.
func storm(seed uint64, check bool) (hash uint64, stats Stats) {
	n := New(Config{
		Seed: seed, CheckCodec: check, Latency: Plane{Side: 80 * ms},
		Faults: Faults{Loss: 0.05, Duplicate: 0.1, Jitter: 20 * ms, Reorder: 0.05},
	})
	defer n.Close()
	r := rand.New(rand.NewPCG(seed, 0))
	setup := func(env dht.Env) []dht.Service {
		env.Every("chat", sec, 200*ms, func(ctx context.Context) {
			brief, cancel := env.WithTimeout(ctx, time.Duration(env.Rand().IntN(300))*ms)
			defer cancel()
			to := n.nodes[env.Rand().IntN(len(n.nodes))].Peer()
			var req dht.Message = &ping{N: env.Rand().IntN(100), Peers: []dht.Peer{to, env.Self()}}
			if env.Rand().IntN(4) == 0 {
				req = &hold{}
			}
			if _, err := dht.Call(brief, env, to, req); err != nil {
				env.Block(ctx, func() error { return nil })
			}
		})
		return []dht.Service{&echo{env: env}}
	}
	for range 40 {
		n.Add(setup)
	}
	for at := sec; at < 50*sec; at += time.Duration(r.IntN(800)) * ms {
		nd := n.nodes[r.IntN(40)]
		action := r.IntN(5)
		n.At(at, func() {
			switch {
			case !nd.Alive():
				nd.Restart(setup)
			case action == 0:
				nd.Stop()
			case action == 1:
				nd.Pause(3 * sec)
			case action == 2 && len(n.nodes) < 60:
				n.Add(setup)
			default:
				nd.Crash()
			}
		})
	}
	n.RunFor(time.Minute)
	return n.TraceHash(), n.Stats()
}

func TestSameSeedSameTrace(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for seed := range uint64(5) {
		first, stats := storm(seed, false)
		for procs := 1; procs <= 2; procs++ {
			runtime.GOMAXPROCS(procs)
			again, other := storm(seed, false)
			if again != first || fmt.Sprint(other) != fmt.Sprint(stats) {
				t.Errorf("seed %d: trace %x, then with GOMAXPROCS %d %x", seed, first, procs, again)
			}
		}
		if checked, _ := storm(seed, true); checked != first {
			t.Errorf("seed %d: trace %x, over the codec %x", seed, first, checked)
		}
		if other, _ := storm(seed+100, false); other == first {
			t.Errorf("seeds %d and %d have one trace", seed, seed+100)
		}
		if stats.Timeouts == 0 || stats.Lost == 0 || stats.Late == 0 || stats.Unanswered == 0 || stats.Duplicated == 0 || stats.Reordered == 0 {
			t.Errorf("seed %d: something never happened: %+v", seed, stats)
		}
	}
}

func TestNetsRunSideBySide(t *testing.T) {
	want, _ := storm(1, false)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if got, _ := storm(1, false); got != want {
				t.Errorf("trace %x beside others, %x alone", got, want)
			}
		})
	}
	wg.Wait()
}

func TestTraceTellsEachEvent(t *testing.T) {
	var trace bytes.Buffer
	_, nodes, services := world(t, Config{Trace: &trace}, 2)
	call(t, nodes[0], services[0], nodes[1], &ping{})
	nodes[1].Crash()
	a, b := nodes[0].String(), nodes[1].String()
	want := "0s start " + a + "\n0s start " + b + "\n10ms request ping " + a + " > " + b +
		"\n20ms response ping " + b + " > " + a + "\n20ms crash " + b + "\n"
	if trace.String() != want {
		t.Errorf("trace:\n%swant:\n%s", trace.String(), want)
	}
}

func TestLogHasVirtualTimeAndNode(t *testing.T) {
	var log bytes.Buffer
	n, nodes, services := world(t, Config{Log: slog.NewTextHandler(&log, nil)}, 1)
	n.RunFor(90 * sec)
	services[0].env.Log().With("a", 1).Info("joined")
	if got := log.String(); !strings.Contains(got, "time=2000-01-01T00:01:30") || !strings.Contains(got, "node="+nodes[0].String()) {
		t.Errorf("logged %q", got)
	}
}

func TestEventsReachTheWorld(t *testing.T) {
	var got []any
	var at *Node
	_, nodes, services := world(t, Config{Events: func(nd *Node, ev dht.Event) { at, got = nd, append(got, ev) }}, 1)
	services[0].env.Emit(dht.LookupDone{})
	if len(got) != 1 || at != nodes[0] {
		t.Errorf("got %v from %v", got, at)
	}
}

func TestFailureTellsEverything(t *testing.T) {
	cause := errors.New("broken invariant")
	for where, boom := range map[string]func(*Net, *Node, *echo){
		"activity": func(_ *Net, nd *Node, s *echo) {
			nd.Do("activity", func(ctx context.Context) { s.env.Sleep(ctx, sec); panic(cause) })
		},
		"handler": func(n *Net, nd *Node, s *echo) {
			s.on = func(dht.Peer, dht.Message, dht.Reply) bool { panic(cause) }
			n.At(sec, func() {
				nd.Do("call", func(ctx context.Context) { dht.Call(ctx, s.env, nd.Peer(), &ping{}) })
			})
		},
		"callback": func(n *Net, _ *Node, _ *echo) { n.After(sec, func() { panic(cause) }) },
	} {
		n, nodes, services := world(t, Config{Seed: 42}, 1)
		boom(n, nodes[0], services[0])
		f, _ := recovered(func() { n.RunFor(time.Minute) }).(*Failure)
		if f == nil || !errors.Is(f, cause) || f.Seed != 42 || f.At != sec || (f.Node == nodes[0]) != (where != "callback") {
			t.Fatalf("%s: run ended with %+v", where, f)
		}
		if text := f.Error(); !strings.Contains(text, where) || !strings.Contains(text, "run_test.go") || !strings.Contains(text, "seed 42") {
			t.Errorf("%s: the failure says %s", where, text)
		}
		n.Close()
	}
}

func TestMisuseIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		want   string
		misuse func(*Net, []*Node, []*echo)
	}{
		"foreign cancel": {"use Env.WithTimeout", func(_ *Net, nodes []*Node, s []*echo) {
			nodes[0].Do("x", func(context.Context) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				s[0].env.Sleep(ctx, sec)
			})
		}},
		"foreign cancel below ours": {"use Env.WithTimeout", func(_ *Net, nodes []*Node, s []*echo) {
			nodes[0].Do("x", func(ctx context.Context) {
				ctx, cancel := context.WithTimeout(ctx, time.Hour)
				defer cancel()
				s[0].env.Signal().Wait(ctx)
			})
		}},
		"blocking handler": {"use Env.Go", func(_ *Net, nodes []*Node, s []*echo) {
			s[1].on = func(dht.Peer, dht.Message, dht.Reply) bool {
				s[1].env.Sleep(context.Background(), sec)
				return false
			}
			nodes[0].Do("x", func(ctx context.Context) { dht.Call(ctx, s[0].env, nodes[1].Peer(), &ping{}) })
		}},
		"another node's env": {"was called by the activity", func(_ *Net, nodes []*Node, s []*echo) {
			nodes[0].Do("x", func(ctx context.Context) { s[1].env.Sleep(ctx, sec) })
		}},
		"another node's context": {"used at", func(_ *Net, nodes []*Node, s []*echo) {
			nodes[0].Do("x", func(ctx context.Context) {
				nodes[1].Do("y", func(context.Context) { s[1].env.Sleep(ctx, sec) })
			})
		}},
		"nothing pending": {"nothing pending", func(_ *Net, nodes []*Node, s []*echo) {
			nodes[0].Do("x", func(ctx context.Context) { s[0].env.Calls().Next(ctx) })
		}},
		"two replies": {"twice", func(_ *Net, nodes []*Node, s []*echo) {
			s[1].on = func(_ dht.Peer, _ dht.Message, r dht.Reply) bool {
				r.Send(&pong{}, nil)
				r.Send(&pong{}, nil)
				return true
			}
			nodes[0].Do("x", func(ctx context.Context) { dht.Call(ctx, s[0].env, nodes[1].Peer(), &ping{}) })
		}},
		"run inside a run": {"inside a run", func(n *Net, _ []*Node, _ []*echo) {
			n.After(0, func() { n.RunFor(sec) })
		}},
		"jitter above the interval": {"jitter", func(_ *Net, nodes []*Node, s []*echo) {
			nodes[0].Do("x", func(context.Context) { s[0].env.Every("e", sec, 2*sec, nil) })
		}},
		"edited message": {"changed after it had been sent", func(_ *Net, nodes []*Node, s []*echo) {
			nodes[0].Do("x", func(context.Context) {
				m := &ping{N: 1}
				s[0].env.Calls().Start(nodes[1].Peer(), m)
				m.N = 2
			})
		}},
		"message without kind": {"cannot be sent", func(_ *Net, nodes []*Node, s []*echo) {
			nodes[0].Do("x", func(context.Context) { s[0].env.Calls().Start(nodes[1].Peer(), &unregistered{}) })
		}},
		"fields that stay behind": {"cannot be sent", func(_ *Net, nodes []*Node, s []*echo) {
			nodes[0].Do("x", func(context.Context) {
				s[0].env.Calls().Start(nodes[1].Peer(), &ping{Peers: []dht.Peer{{Ref: 77}}})
			})
		}},
	} {
		n, nodes, services := world(t, Config{CheckCodec: true}, 2)
		c.misuse(n, nodes, services)
		f, _ := recovered(func() { n.RunFor(time.Minute) }).(*Failure)
		if f == nil || !strings.Contains(fmt.Sprint(f.Value), c.want) {
			t.Errorf("%s: the run ended with %v, want one that says %q", name, f, c.want)
		}
		n.Close()
	}
}

type unregistered struct{ ping }

func (*unregistered) Code() uint16 { return 220 }

func TestReceiversGetCopiesOverTheCodec(t *testing.T) {
	_, nodes, services := world(t, Config{CheckCodec: true}, 2)
	sent := &ping{Peers: []dht.Peer{nodes[1].Peer()}}
	services[1].on = func(_ dht.Peer, req dht.Message, _ dht.Reply) bool {
		got := req.(*ping)
		if got == sent || got.Peers[0] != nodes[1].Peer() {
			t.Errorf("got %+v, sent %+v", got, sent)
		}
		return false
	}
	call(t, nodes[0], services[0], nodes[1], sent)
}

func TestBytesAreThoseOfTheWire(t *testing.T) {
	exact, sampled := bytesOf(t, 1), bytesOf(t, 10)
	// 9 bytes of frame, 1 of contact count, 1 + 1 of contact head, 52 of contact, and
	// the body {1: 7, 2: [{1: 2, 2: 1}]}.
	if want := uint64(9 + 1 + 2 + len(letter(t)) + 10); exact[0].Bytes != 0 || exact[1].Bytes != 100*want {
		t.Errorf("100 pings take %d bytes, want 100 * %d", exact[1].Bytes, want)
	}
	if exact[3].Bytes == 0 || fmt.Sprint(exact) != fmt.Sprint(sampled) {
		t.Errorf("exact %+v, of every tenth %+v", exact, sampled)
	}
}

func TestIdentifiersAreCountedOnlyIfAskedFor(t *testing.T) {
	for _, asked := range []bool{false, true} {
		n, nodes, services := world(t, Config{Identifiers: asked}, 2)
		for range 10 {
			call(t, nodes[0], services[0], nodes[1], &ping{N: 7, Peers: []dht.Peer{nodes[0].Peer(), nodes[1].Peer()}})
		}
		want := uint64(0)
		if asked {
			want = 20
		}
		if k := n.Stats().Kinds; k[1].Identifiers != want {
			t.Errorf("asked for: %v: 10 pings that name 2 peers carried %d identifiers", asked, k[1].Identifiers)
		}
	}
}

func letter(t *testing.T) []byte {
	n, _, _ := world(t, Config{}, 1)
	n.letters.refresh()
	return n.letters.record
}

func bytesOf(t *testing.T, every int) []KindStats {
	n, nodes, services := world(t, Config{Bytes: every}, 2)
	for range 100 {
		call(t, nodes[0], services[0], nodes[1], &ping{N: 7, Peers: []dht.Peer{nodes[1].Peer()}})
	}
	return n.Stats().Kinds
}

func TestWatchdogBitesWhoWaitsForReal(t *testing.T) {
	n, nodes, _ := world(t, Config{Watchdog: 10 * ms}, 1)
	bitten := make(chan string, 1)
	n.dog.bite = func(stacks string) { bitten <- stacks }
	nodes[0].Do("deadlock", func(context.Context) {
		report := <-bitten
		if !strings.Contains(report, "TestWatchdogBitesWhoWaitsForReal") {
			t.Errorf("the stacks do not show the culprit: %s", report)
		}
	})
	n.RunFor(sec)
}

func TestFatalInAnActivityEndsTheTest(t *testing.T) {
	n, nodes, services := world(t, Config{}, 1)
	ended := make(chan bool)
	go func() {
		defer close(ended)
		nodes[0].Await("fatal", sec, func(ctx context.Context) {
			services[0].env.Sleep(ctx, ms)
			runtime.Goexit()
		})
		t.Error("the run went on")
	}()
	<-ended
	n.Close()
}

func TestDoneServesForeignCode(t *testing.T) {
	_, nodes, services := world(t, Config{}, 1)
	nodes[0].Await("x", time.Hour, func(ctx context.Context) {
		env := services[0].env
		outer, cancel := env.WithTimeout(ctx, sec)
		defer cancel()
		inner, cancelInner := env.WithTimeout(outer, time.Hour)
		defer cancelInner()
		for i, want := range []bool{false, true} {
			select {
			case <-inner.Done():
				if !want {
					t.Error("Done is closed before the deadline")
				}
			default:
				if want {
					t.Error("Done is open after the parent's deadline")
				}
			}
			if i == 0 {
				env.Sleep(ctx, 2*sec)
			}
		}
		select {
		case <-ctx.Done():
			t.Error("Done of the node's own context is closed")
		default:
		}
	})
}
