package kademlia_test

import (
	"context"
	"runtime"
	"strconv"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/dht/dhttest"
	"dyschord/kademlia"
	"dyschord/net/simnet"
)

// A node at rest, all in, the simulator's part included, must stay small: a large
// simulation is bounded by memory. Each doubling of their number adds ten peers to
// each table, 0.3 KiB; the benchmark measures 100,000.
func TestBytesPerNode(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector's own memory is of no interest")
	}
	if bytes := bytesPerNode(t, 4000); bytes > 7*1024 {
		t.Errorf("%d bytes per node, more than 7 KiB", bytes)
	}
}

func bytesPerNode(t testing.TB, n int) uint64 {
	factory, err := kademlia.Factory(kademlia.Config{})
	if err != nil {
		t.Fatal(err)
	}
	before := heap()
	c := dhttest.NewCluster(t, simnet.Config{Seed: 1}, factory, dht.Closest)
	c.Prefill(n)
	c.Net.RunFor(12 * time.Second)
	used := (heap() - before) / uint64(n)
	t.Logf("%d nodes: %d bytes each", n, used)
	runtime.KeepAlive(c)
	return used
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// BenchmarkUpkeep is a second of a quiet overlay, in which one node in ten looks a key up.
func BenchmarkUpkeep(b *testing.B) {
	for _, n := range []int{1000, 10_000, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			factory, err := kademlia.Factory(kademlia.Config{})
			if err != nil {
				b.Fatal(err)
			}
			before, began := heap(), time.Now()
			c := dhttest.NewCluster(b, simnet.Config{Seed: 1}, factory, dht.Closest)
			c.Prefill(n)
			built := time.Since(began)
			c.Net.RunFor(5 * time.Second)
			events := c.Net.Stats().Events
			b.ResetTimer()
			for b.Loop() {
				for i := range n / 10 {
					m := c.Members[10*i]
					key := dht.Space{}.KeyID([]byte(strconv.Itoa(i)))
					m.Do("lookup", func(ctx context.Context) { _, _ = m.Overlay.Lookup(ctx, key, 1) })
					c.Net.RunFor(time.Second / time.Duration(n/10))
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(c.Net.Stats().Events-events)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(heap()-before)/float64(n), "bytes/node")
			b.ReportMetric(built.Seconds(), "s/build")
		})
	}
}
