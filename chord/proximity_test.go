package chord_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"dyschord/chord"
	"dyschord/dht"
	"dyschord/dht/dhttest"
	"dyschord/net/simnet"
)

// Nodes that are spread over a plane find each other faster when fingers are chosen by
// round trips, in about as many hops, and just as correctly.
func TestProximityMakesLookupsFaster(t *testing.T) {
	var latency, hops [2]float64
	for i, proximity := range []bool{false, true} {
		c := cluster(t, simnet.Config{Seed: 2, Latency: simnet.Plane{Side: 150 * time.Millisecond}}, chord.Config{Proximity: proximity})
		c.Prefill(400)
		c.Net.RunFor(5 * time.Minute)
		latency[i], hops[i] = timeLookups(t, c, 1000)
	}
	t.Logf("first of the octave: %.0f ms, %.2f hops; near ones: %.0f ms, %.2f hops", latency[0], hops[0], latency[1], hops[1])
	if latency[1] > 0.75*latency[0] || hops[1] > hops[0]+0.3 {
		t.Errorf("proximity takes %.0f ms and %.2f hops in the mean, without it %.0f ms and %.2f", latency[1], hops[1], latency[0], hops[0])
	}
}

// timeLookups runs k lookups and returns the means of their time, in ms, and hops.
func timeLookups(t *testing.T, c *dhttest.Cluster, k int) (latency, hops float64) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range k {
		m, key := c.Members[rng.IntN(len(c.Members))], dht.NewID(rng.Uint64(), rng.Uint64())
		m.Do("lookup", func(ctx context.Context) {
			route, err := m.Overlay.Lookup(ctx, key, 1)
			if err != nil || route.Owners[0] != c.Owners(key, 1)[0] {
				t.Errorf("lookup of %s at %s found %v, %v", key, m, route.Owners, err)
			}
			latency += float64(route.Took.Milliseconds()) / float64(k)
			hops += float64(len(route.Hops)) / float64(k)
		})
	}
	c.Net.RunFor(20 * time.Second)
	return latency, hops
}

// With near fingers too, each octave that holds nodes has one of them as its finger:
// after joins, and after a third has failed at once.
func TestEveryOctaveHasANearFinger(t *testing.T) {
	c := cluster(t, simnet.Config{Seed: 3, CheckCodec: true}, chord.Config{Proximity: true, Successors: 4})
	c.Prefill(60)
	for range 20 {
		c.Add(c.Members[0])
		c.Net.RunFor(time.Second)
	}
	c.Net.RunFor(2 * time.Minute)
	checkOctaves(t, c)
	for i := 1; i < len(c.Members); i += 3 {
		c.Crash(c.Members[i])
	}
	c.Net.RunFor(3 * time.Minute)
	checkOctaves(t, c)
}

func checkOctaves(t *testing.T, c *dhttest.Cluster) {
	t.Helper()
	live, bad, all := c.Live(), 0, 0
	if len(live) < 50 {
		t.Fatalf("%d members", len(live))
	}
	for _, m := range live {
		octaves := map[int]bool{}
		for _, p := range live {
			octaves[octaveOf(m, p.Peer())] = true
		}
		delete(octaves, -1)
		node := m.Overlay.(*chord.Node)
		for i := range octaves {
			all++
			if p := node.Finger(i); octaveOf(m, p) != i || !alive(live, p) {
				bad++
			}
		}
	}
	if bad > 0 {
		t.Errorf("%d of %d octaves with nodes have no finger among them", bad, all)
	}
}

// octaveOf is -1 for the node itself.
func octaveOf(m *dhttest.Member, p dht.Peer) int {
	return (dht.Space{}).Sub(p.ID, m.Peer().ID).Len() - 1
}

func alive(live []*dhttest.Member, p dht.Peer) bool {
	for _, m := range live {
		if m.Peer() == p {
			return true
		}
	}
	return false
}
