package kademlia_test

import (
	"context"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/kademlia"
	"dyschord/net/simnet"
)

// Where nodes lie on a plane, tables that prefer short round trips make lookups faster,
// and neither longer nor less right. They need upkeep to get there.
func TestProximityMakesLookupsFaster(t *testing.T) {
	plane := simnet.Plane{Side: 150 * time.Millisecond, Min: time.Millisecond}
	took := map[bool]time.Duration{}
	for _, proximity := range []bool{false, true} {
		c := cluster(t, simnet.Config{Seed: 1, Latency: plane}, kademlia.Config{K: 8, Siblings: 8, Proximity: proximity})
		c.Prefill(300)
		c.Net.RunFor(4 * time.Minute)
		hops, right := 0, 0
		for i, m := range c.Members {
			for j := range 4 {
				key := dht.Space{}.KeyID([]byte{byte(i), byte(i >> 8), byte(j)})
				m.Do("lookup", func(ctx context.Context) {
					route, err := m.Overlay.Lookup(ctx, key, 1)
					if err == nil && route.Owners[0] == c.Owners(key, 1)[0] {
						right++
					}
					hops += len(route.Hops)
					took[proximity] += route.Took / 1200
				})
			}
		}
		c.Net.RunFor(10 * time.Second)
		t.Logf("proximity %v: %v in the mean, %.2f hops", proximity, took[proximity], mean(hops, 1200))
		if right != 1200 {
			t.Errorf("proximity %v: %d of 1200 lookups were right", proximity, right)
		}
	}
	if took[true] > took[false]*85/100 {
		t.Errorf("lookups take %v with proximity and %v without", took[true], took[false])
	}
}
