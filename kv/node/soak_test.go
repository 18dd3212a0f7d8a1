package node

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"dyschord/chord"
	"dyschord/kv"
)

var (
	soakOps   = flag.Int("soak.ops", 100_000, "operations of the soak test")
	soakMoves = flag.Int("soak.moves", 100, "joins and leaves of the soak test")
)

// footprint is what a process holds on to.
type footprint struct {
	at         int // moves so far
	heap       int // bytes in use after a collection
	goroutines int
}

func measure(at int) footprint {
	runtime.GC()
	runtime.GC() // the second frees what finalizers let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return footprint{at, int(m.HeapAlloc), runtime.NumGoroutine()}
}

// slope is the growth of a figure for each move, by least squares.
func slope(all []footprint, figure func(footprint) int) float64 {
	var n, sx, sy, sxx, sxy float64
	for _, f := range all {
		x, y := float64(f.at), float64(figure(f))
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	return (n*sxy - sx*sy) / (n*sxx - sx*sx)
}

// Nothing may stay behind of an operation, or of a node that came and went, but what
// is known and bounded: each slot remembers its last 1,024 requests, and contacts of
// former members are kept for ten minutes, some kilobytes for each. What fills up in
// the beginning does so before the first measurement. Takes 30 s on two cores.
func TestTheFootprintIsFlatOverOperationsAndMoves(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 30 s")
	}
	nodes := cluster(t, brisk(), 3)
	settled(t, nodes...)
	const keys, rounds, warm, warmMoves = 500, 20, 80_000, 20
	operate(t, nodes, keys, warm)
	for range warmMoves {
		comeAndGo(t, nodes)
	}
	var all []footprint
	for round := range rounds {
		operate(t, nodes, keys, *soakOps/rounds)
		for range *soakMoves / rounds {
			comeAndGo(t, nodes)
		}
		all = append(all, settledFootprint((round+1)*(*soakMoves/rounds)))
		t.Logf("after %d moves and %d operations: %d KB, %d goroutines",
			all[round].at, warm+(round+1)*(*soakOps/rounds), all[round].heap>>10, all[round].goroutines)
	}
	heap := slope(all, func(f footprint) int { return f.heap })
	goroutines := slope(all, func(f footprint) int { return f.goroutines })
	t.Logf("growth for each move: %.0f bytes, %.3f goroutines", heap, goroutines)
	if heap > maxHeapSlope || goroutines > maxGoroutineSlope {
		t.Errorf("for each move the heap grows by %.0f bytes (%d are allowed), goroutines by %.3f (%v are allowed)",
			heap, maxHeapSlope, goroutines, maxGoroutineSlope)
	}
}

// A node that stays behind is more than a megabyte, and a thousand operations go with
// each move: the gate sees 24 bytes that one of them leaves. Between runs the figure
// differs by some 7 KB, which is what the collector happens to find.
const (
	maxHeapSlope      = 24 << 10 // bytes for each move and the operations that go with it
	maxGoroutineSlope = 0.1
)

// settledFootprint takes the lowest of a few measurements: connections to nodes that
// have gone end on their own time.
func settledFootprint(at int) footprint {
	best := measure(at)
	for range 5 {
		<-time.After(50 * time.Millisecond)
		next := measure(at)
		best.heap, best.goroutines = min(best.heap, next.heap), min(best.goroutines, next.goroutines)
	}
	return best
}

// operate carries out n operations on a fixed set of keys, at all nodes at once.
func operate(t *testing.T, nodes []*Node, keys, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const workers = 16
	var wg sync.WaitGroup
	for w := range workers {
		at := nodes[w%len(nodes)]
		wg.Go(func() {
			for i := w; i < n; i += workers {
				key := fmt.Sprint("key ", i%keys)
				var err error
				switch i % 4 {
				case 0:
					err = at.put(ctx, key, fmt.Sprintf("%0100d", i))
				case 1:
					_, _, err = at.Delete(ctx, []byte(fmt.Sprint("gone ", i%keys)))
				default:
					_, err = at.get(ctx, fmt.Sprint("key ", i/4*4%keys))
				}
				if err != nil && !errors.Is(err, kv.ErrNotFound) {
					t.Errorf("operation %d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// comeAndGo lets one node join and leave again.
func comeAndGo(t *testing.T, nodes []*Node) {
	t.Helper()
	cfg := brisk()
	cfg.Heartbeat, cfg.Overlay.Chord = 20*time.Millisecond, chord.Config{Stabilize: 20 * time.Millisecond}
	cfg.Bootstrap = nodes[0].Addrs()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	n, err := Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Settled(ctx, len(nodes)+1); err != nil {
		t.Fatal(err)
	}
	if err := n.Leave(ctx); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
}
