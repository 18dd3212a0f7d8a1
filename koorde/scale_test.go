package koorde_test

import (
	"context"
	"runtime"
	"strconv"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/koorde"
	"dyschord/net/simnet"
)

// A node at rest, all in, the simulator's part included, must stay small: a large
// simulation is bounded by memory.
func TestBytesPerNode(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector's own memory is of no interest")
	}
	before := heap()
	c := cluster(t, simnet.Config{Seed: 1}, koorde.Config{})
	c.Prefill(4000)
	c.Net.RunFor(12 * time.Second)
	used := (heap() - before) / 4000
	t.Logf("%d bytes per node", used)
	runtime.KeepAlive(c)
	if used > 4*1024 {
		t.Errorf("%d bytes per node, more than 4 KiB", used)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// BenchmarkUpkeep is a second of a quiet ring, in which one node in ten looks a key up.
func BenchmarkUpkeep(b *testing.B) {
	for _, n := range []int{1000, 10_000, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			before := heap()
			c := cluster(b, simnet.Config{Seed: 1}, koorde.Config{})
			c.Prefill(n)
			c.Net.RunFor(12 * time.Second)
			used := float64(heap()-before) / float64(n)
			events := c.Net.Stats().Events
			b.ResetTimer()
			for b.Loop() {
				for i := range n / 10 {
					m, key := c.Members[10*i], dht.Space{}.KeyID([]byte(strconv.Itoa(i)))
					m.Do("lookup", func(ctx context.Context) { _, _ = m.Overlay.Lookup(ctx, key, 1) })
					c.Net.RunFor(time.Second / time.Duration(n/10))
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(c.Net.Stats().Events-events)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(used, "bytes/node")
		})
	}
}
