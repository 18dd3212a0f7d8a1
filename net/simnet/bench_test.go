package simnet

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"dyschord/dht"
)

// BenchmarkEvents lets each node call a random other one every second, and sleep a
// little: what an overlay's upkeep asks of the simulator, without an overlay.
func BenchmarkEvents(b *testing.B) {
	for _, nodes := range []int{1000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) { benchmarkEvents(b, nodes, Config{}) })
	}
	b.Run("nodes=1000/bytes", func(b *testing.B) { benchmarkEvents(b, 1000, Config{Bytes: 1}) })
	b.Run("nodes=1000/check", func(b *testing.B) { benchmarkEvents(b, 1000, Config{CheckCodec: true}) })
}

func benchmarkEvents(b *testing.B, nodes int, cfg Config) {
	before := heap()
	n := New(cfg)
	defer n.Close()
	for range nodes {
		n.Add(func(env dht.Env) []dht.Service {
			env.Every("chat", time.Second, 100*ms, func(ctx context.Context) {
				to := n.nodes[env.Rand().IntN(nodes)].Peer()
				dht.Call(ctx, env, to, &ping{N: 1, Peers: []dht.Peer{env.Self(), to}})
			})
			return []dht.Service{&echo{env: env, on: answer}}
		})
	}
	n.RunFor(3 * time.Second)
	perNode := float64(heap()-before) / float64(nodes)
	start := n.events
	b.ResetTimer()
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		n.step(never)
	}
	b.ReportMetric(float64(n.events-start)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(perNode, "B/node")
}

func answer(_ dht.Peer, req dht.Message, r dht.Reply) bool {
	r.Send(&pong{N: 1, Peers: req.(*ping).Peers}, nil)
	return true
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
