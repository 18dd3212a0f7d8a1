package dhttest

import (
	"context"
	"runtime"
	"strconv"
	"testing"
	"time"

	"dyschord/net/simnet"
)

// settle is the virtual time until the upkeep of prefilled nodes has made what a node
// at rest holds: connections, round-trip times, timers.
const settle = 12 * time.Second

// TestBytesPerNode fails if a node at rest among 4,000, all in, the simulator's part
// included, takes more than limit bytes: a large simulation is bounded by memory.
// Short runs skip it: the race detector's own memory is of no interest.
func TestBytesPerNode(t *testing.T, opt Options, limit uint64) {
	if testing.Short() {
		t.Skip("the race detector's own memory is of no interest")
	}
	const n = 4000
	before := heap()
	c := prefilled(t, opt, n)
	c.Net.RunFor(settle)
	used := (heap() - before) / n
	runtime.KeepAlive(c)
	t.Logf("%d bytes per node", used)
	if used > limit {
		t.Errorf("%d bytes per node, more than %d", used, limit)
	}
}

// BenchmarkUpkeep is a second of a quiet overlay of 1,000, 10,000 and 100,000 nodes, in
// which one node in ten looks a key up. It reports the simulator's events per second,
// the bytes of a node at rest, and the seconds that Prefill took for all.
func BenchmarkUpkeep(b *testing.B, opt Options) {
	for _, n := range []int{1000, 10_000, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) { upkeep(b, opt, n) })
	}
}

func upkeep(b *testing.B, opt Options, n int) {
	b.ReportAllocs()
	before, began := heap(), time.Now()
	c := prefilled(b, opt, n)
	built := time.Since(began)
	c.Net.RunFor(settle)
	used := heap() - before
	events := c.Net.Stats().Events
	b.ResetTimer()
	for b.Loop() {
		for i, key := range c.keys(n / 10) {
			m := c.Members[10*i]
			m.Do("lookup", func(ctx context.Context) { _, _ = m.Overlay.Lookup(ctx, key, 1) })
			c.Net.RunFor(time.Second / time.Duration(n/10))
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(c.Net.Stats().Events-events)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(used)/float64(n), "bytes/node")
	b.ReportMetric(built.Seconds(), "s/build")
}

// prefilled is n nodes of the overlay with its default settings.
func prefilled(tb testing.TB, opt Options, n int) *Cluster {
	tb.Helper()
	factory, err := opt.New(Variant{})
	if err != nil {
		tb.Fatal(err)
	}
	c := NewCluster(tb, simnet.Config{Seed: 1}, factory, opt.Oracle)
	c.Prefill(n)
	return c
}

// heap is the memory in use once all garbage is collected.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // what finalizers kept
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
