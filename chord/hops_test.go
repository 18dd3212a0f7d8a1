package chord_test

import (
	"context"
	"math"
	"testing"
	"time"

	"dyschord/chord"
	"dyschord/dht"
	"dyschord/dht/dhttest"
	"dyschord/net/simnet"
)

// The model of a perfect ring gives 4.47 mean hops for 1,024 nodes with random
// identifiers and 8 successors, the final move to the owner counted.
func TestMeanHopsOfAPerfectRing(t *testing.T) {
	factory, err := chord.Factory(chord.Config{})
	if err != nil {
		t.Fatal(err)
	}
	sum, count := 0, 0
	for seed := range uint64(4) {
		c := dhttest.NewCluster(t, simnet.Config{Seed: seed + 1}, factory, dhttest.Successors)
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
