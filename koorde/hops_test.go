package koorde_test

import (
	"context"
	"math"
	"slices"
	"strconv"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/dht/dhttest"
	"dyschord/koorde"
	"dyschord/net/simnet"
)

// static is the hops of lookups in perfect rings of n nodes, one per node and at most
// so many per seed; every one must find the owner. Each width has identifiers of its own.
func static(t testing.TB, cfg koorde.Config, n, perSeed, seeds int) (mean, p99 float64) {
	t.Helper()
	cfg.Stabilize = time.Hour // nothing changes
	factory, err := koorde.Factory(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var hops []int
	sum := 0
	for seed := range seeds {
		c := dhttest.NewCluster(t, simnet.Config{Seed: uint64(seed + 1 + 100*cfg.Space.Bits), Space: cfg.Space}, factory, dht.Successors)
		c.Prefill(n)
		members := peersOf(c)
		for i, m := range c.Members[:min(n, perSeed)] {
			key := cfg.Space.KeyID([]byte(strconv.Itoa(seed) + "/" + strconv.Itoa(i)))
			m.Do("lookup", func(ctx context.Context) {
				route, err := m.Overlay.Lookup(ctx, key, 1)
				if err != nil || route.Owners[0] != dht.Successors(members, key, 1)[0] {
					t.Errorf("lookup of %s at %s found %v, %v", key, m, route.Owners, err)
				}
				hops, sum = append(hops, len(route.Hops)), sum+len(route.Hops)
			})
		}
		c.Net.RunFor(20 * time.Second)
		c.Net.Close()
	}
	if len(hops) != seeds*min(n, perSeed) {
		t.Fatalf("%d lookups ended", len(hops))
	}
	slices.Sort(hops)
	mean = float64(sum) / float64(len(hops))
	return mean, float64(hops[len(hops)*99/100])
}

func peersOf(c *dhttest.Cluster) []dht.Peer {
	var out []dht.Peer
	for _, m := range c.Live() {
		out = append(out, m.Peer())
	}
	return out
}

const slow = "nothing runs at the same time here; too slow under the race detector"

// Degree 16, 32 pointers, 8 successors: what the package promises of perfect rings, the
// final move to the owner counted. The width of identifiers makes no difference.
func TestMeanHopsOfAPerfectRing(t *testing.T) {
	if testing.Short() {
		t.Skip(slow)
	}
	wide, p99 := static(t, koorde.Config{}, 1024, 1024, 5)
	narrow, _ := static(t, koorde.Config{Space: dht.Space{Bits: 64}}, 1024, 1024, 5)
	odd, _ := static(t, koorde.Config{Space: dht.Space{Bits: 37}}, 1024, 1024, 1)
	t.Logf("1,024 nodes: %.3f hops in 128 bits (p99 %.0f), %.3f in 64, %.3f in 37", wide, p99, narrow, odd)
	if wide > 4 || math.Abs(wide-narrow) > 0.2 || math.Abs(wide-odd) > 0.2 || p99 > 11 {
		t.Errorf("%.3f hops in 128 bits (p99 %.0f), %.3f in 64, %.3f in 37; want at most 4, within 0.2 of each other", wide, p99, narrow, odd)
	}
}

// Four times the nodes are half a hexadecimal digit more, or two binary ones; with the
// corrections, up to 0.9 or 2.8 moves.
func TestHopsGrowWithTheLogarithm(t *testing.T) {
	if testing.Short() {
		t.Skip(slow)
	}
	for _, c := range []struct {
		degree      int
		sizes       []int
		least, most float64 // growth for four times the nodes
		above       float64 // log_k N, at most
	}{
		{16, []int{1024, 4096, 16384, 65536}, 0.4, 0.9, 2},
		{2, []int{1024, 4096, 16384}, 1.8, 2.8, 1},
	} {
		last := 0.0
		for i, n := range c.sizes {
			mean, p99 := static(t, koorde.Config{Degree: c.degree}, n, 4096, 1)
			log := math.Log(float64(n)) / math.Log(float64(c.degree))
			t.Logf("degree %d, %d nodes: %.2f hops, p99 %.0f; log_k N is %.1f", c.degree, n, mean, p99, log)
			if growth := mean - last; i > 0 && (growth < c.least || growth > c.most) {
				t.Errorf("degree %d: %.2f hops more at %d nodes than at a quarter of them", c.degree, growth, n)
			}
			if mean < log-1 || mean > log+c.above {
				t.Errorf("degree %d, %d nodes: %.2f hops, log_k N is %.2f", c.degree, n, mean, log)
			}
			last = mean
		}
	}
}

// BenchmarkHops reports what static lookups cost, up to 65,536 nodes.
func BenchmarkHops(b *testing.B) {
	for _, cfg := range []koorde.Config{{}, {Successors: 16}, {Pointers: 16}, {Pointers: 64}, {Degree: 2}, {Degree: 64}} {
		for _, n := range []int{128, 1024, 4096, 65536} {
			name := strconv.Itoa(cfg.Degree) + "-" + strconv.Itoa(cfg.Pointers) + "-" + strconv.Itoa(cfg.Successors) + "/" + strconv.Itoa(n)
			b.Run(name, func(b *testing.B) {
				for b.Loop() {
					mean, p99 := static(b, cfg, n, 4096, 1)
					b.ReportMetric(mean, "hops")
					b.ReportMetric(p99, "p99-hops")
				}
			})
		}
	}
}
