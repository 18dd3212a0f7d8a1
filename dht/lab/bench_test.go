package lab

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dyschord/dht/overlays"
)

// BenchmarkOverlay runs each algorithm with perfect tables: upkeep at the default
// intervals and a lookup per node and minute. An op is an event. Memory is what a node
// takes after ten seconds, its overlay and its share of the simulator and the lab;
// build-cpu-s is what it took to make them all, tables included. On a busy machine,
// events per second of processor time, the collector's included, are the steadier
// figure.
func BenchmarkOverlay(b *testing.B) {
	for _, algorithm := range overlays.Names() {
		for _, nodes := range []int{1000, 10_000, 100_000} {
			b.Run(fmt.Sprintf("%s/nodes=%d", algorithm, nodes), func(b *testing.B) {
				benchmarkOverlay(b, Scenario{Algorithm: algorithm, Nodes: nodes, LookupEvery: time.Minute})
			})
		}
	}
}

func benchmarkOverlay(b *testing.B, s Scenario) {
	before, start := memory(), cpuTime()
	w, err := New(s)
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	built := cpuTime() - start
	w.Net().RunFor(10 * time.Second)
	perNode := float64(memory()-before) / float64(s.Nodes)
	b.ReportAllocs()
	b.ResetTimer()
	end, used := w.Net().Events()+uint64(b.N), cpuTime()
	w.Net().RunUntil(func() bool { return w.Net().Events() >= end }, 1000*time.Hour)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(b.N)/(cpuTime()-used).Seconds(), "events/cpu-s")
	b.ReportMetric(perNode, "B/node")
	b.ReportMetric(built.Seconds(), "build-cpu-s")
}

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var used unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func memory() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
