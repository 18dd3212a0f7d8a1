package chord_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"dyschord/chord"
	"dyschord/dht"
	"dyschord/dht/dhttest"
	"dyschord/dht/lookup"
	"dyschord/net/simnet"
)

// The model of a perfect ring gives 4.47 mean hops for 1,024 nodes with random
// identifiers and 8 successors, the final move to the owner counted.
func TestMeanHopsOfAPerfectRing(t *testing.T) {
	if testing.Short() {
		t.Skip("nothing runs at the same time here; too slow under the race detector")
	}
	factory, err := chord.Factory(chord.Config{})
	if err != nil {
		t.Fatal(err)
	}
	sum, count := 0, 0
	for seed := range uint64(4) {
		c := dhttest.NewCluster(t, simnet.Config{Seed: seed + 1}, factory, dht.Successors)
		c.Prefill(1024)
		for i, m := range c.Members {
			key := dht.Space{}.KeyID([]byte{byte(seed), byte(i), byte(i >> 8)})
			m.Do("lookup", func(ctx context.Context) {
				route, err := m.Overlay.Lookup(ctx, key, 1)
				if err != nil || route.Owners[0] != c.Owners(key, 1)[0] {
					t.Errorf("lookup of %s at %s found %v, %v", key, m, route.Owners, err)
				}
				sum, count = sum+len(route.Hops), count+1
			})
		}
		c.Net.RunFor(5 * time.Second)
		c.Net.Close()
	}
	mean := float64(sum) / float64(count)
	t.Logf("%d lookups, %.3f hops", count, mean)
	if count != 4096 || math.Abs(mean-4.47) > 0.1 {
		t.Errorf("%d lookups took %.3f hops in the mean, want 4.47 ± 0.1", count, mean)
	}
}

// The papers' experiment on simultaneous failures: of 1,000 nodes with 20 successors
// a fraction p fails at once, and lookups begin before anything is repaired. The
// path lengths are those of the journal version's table. Time-outs are fewer here:
// who named a dead node is told, and does not name it to the next.
func TestSimultaneousFailures(t *testing.T) {
	if testing.Short() {
		t.Skip("nothing runs at the same time here; too slow under the race detector")
	}
	for p, want := range map[float64]float64{0: 3.84, 0.1: 4.03, 0.3: 4.44, 0.5: 5.09} {
		t.Run(fmt.Sprint(p), func(t *testing.T) {
			c := cluster(t, simnet.Config{Seed: 3}, chord.Config{
				Successors: 20, Stabilize: time.Hour,
				Lookup: lookup.Config{Redundancy: 20, Retries: -1, Timeout: time.Minute},
			})
			c.Prefill(1000)
			rng := rand.New(rand.NewPCG(1, 1))
			for _, m := range c.Members {
				if rng.Float64() < p {
					c.Crash(m)
				}
			}
			right, hops, timeouts := lookups(c, rng, 1000)
			t.Logf("%d of 1000 right, %.2f hops (paper: %.2f), %.2f time-outs", right, hops, want, timeouts)
			if right < 995 || math.Abs(hops-want) > 0.05*want {
				t.Errorf("%d of 1000 lookups were right and took %.2f hops, want %.2f ± 5 %%", right, hops, want)
			}
		})
	}
}

// lookups runs k lookups from random members at the same time. It returns how many
// were right, and the means of their hops and time-outs.
func lookups(c *dhttest.Cluster, rng *rand.Rand, k int) (right int, hops, timeouts float64) {
	live := c.Live()
	for i := range k {
		m, key := live[rng.IntN(len(live))], dht.Space{}.KeyID([]byte{byte(i), byte(i >> 8)})
		m.Do("lookup", func(ctx context.Context) {
			route, err := m.Overlay.Lookup(ctx, key, 1)
			if err == nil && route.Owners[0] == c.Owners(key, 1)[0] {
				right++
				hops += float64(len(route.Hops))
				timeouts += float64(route.Timeouts)
			}
		})
	}
	c.Net.RunFor(2 * time.Minute)
	return right, hops / float64(right), timeouts / float64(right)
}
