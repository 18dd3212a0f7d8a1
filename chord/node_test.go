package chord_test

import (
	"strings"
	"testing"
	"time"

	"dyschord/chord"
	"dyschord/dht"
	"dyschord/dht/dhttest"
	"dyschord/dht/lookup"
	"dyschord/net/simnet"
)

func cluster(t *testing.T, world simnet.Config, cfg chord.Config) *dhttest.Cluster {
	t.Helper()
	cfg.Space = world.Space
	factory, err := chord.Factory(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return dhttest.NewCluster(t, world, factory, dht.Successors)
}

// Every entry of every finger table becomes what full knowledge would put there,
// after joins and again after crashes.
func TestFingersConverge(t *testing.T) {
	c := cluster(t, simnet.Config{Seed: 2}, chord.Config{})
	c.Grow(60)
	c.Run(3*time.Minute, nil)
	if share := tableConsistency(c); share < 1 {
		t.Errorf("%.3f of the entries are right after joins", share)
	}
	for i := range 15 {
		c.Crash(c.Members[4*i+1])
	}
	c.Run(3*time.Minute, nil)
	if share := tableConsistency(c); share < 1 {
		t.Errorf("%.3f of the entries are right after crashes", share)
	}
	for range 20 {
		c.Add(c.Members[0])
	}
	c.Run(2*time.Minute, nil)
	if share := tableConsistency(c); share < 1 {
		t.Errorf("%.3f of the entries are right after further joins", share)
	}
}

// tableConsistency is the share of finger entries that equal the oracle's.
func tableConsistency(c *dhttest.Cluster) float64 {
	right, all := 0, 0
	for _, m := range c.Live() {
		for i := range 128 {
			start := dht.Space{}.Add(m.Peer().ID, dht.Space{}.Pow2(uint(i)))
			all++
			if m.Overlay.(*chord.Node).Finger(i) == c.Owners(start, 1)[0] {
				right++
			}
		}
	}
	return float64(right) / float64(all)
}

// A quiet ring costs a node about one request per second.
func TestQuietRingIsCheap(t *testing.T) {
	c := cluster(t, simnet.Config{Seed: 3}, chord.Config{})
	c.Prefill(100)
	c.Net.RunFor(10 * time.Second)
	rate := c.RequestRate(100 * time.Second)
	t.Logf("%.2f requests per node and second", rate)
	if rate > 1.6 {
		t.Errorf("%.2f requests per node and second", rate)
	}
}

func TestConfigRefuses(t *testing.T) {
	for want, cfg := range map[string]chord.Config{
		"chord.successors 33":     {Successors: 33},
		"chord.stabilize 1ms":     {Stabilize: time.Millisecond},
		"chord.fingers -1":        {Fingers: -1},
		"chord.tries 11":          {Tries: 11},
		"chord.heal_every 100000": {HealEvery: 100000},
		"lookup.alpha 17":         {Lookup: lookup.Config{Alpha: 17}},
		"lookup.timeout 1ms":      {Lookup: lookup.Config{Timeout: time.Millisecond}},
		"identifier width":        {Space: dht.Space{Bits: 3}},
	} {
		_, err := chord.Factory(cfg)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "allowed") {
			t.Errorf("%+v: the error is %v, which does not say %q and what is allowed", cfg, err, want)
		}
	}
}

func TestTableShowsTheRing(t *testing.T) {
	c := cluster(t, simnet.Config{Seed: 6}, chord.Config{})
	c.Prefill(200)
	m := c.Members[0]
	table := m.Overlay.Table()
	if table.Algorithm != "chord" || table.Self != m.Peer() || len(table.Sections) != 3 {
		t.Fatalf("%+v", table)
	}
	for i, want := range []int{1, 8, 4} {
		s := table.Sections[i]
		if len(s.Entries) < want {
			t.Errorf("section %q has %d entries, fewer than %d", s.Name, len(s.Entries), want)
		}
	}
}

// A suspicion makes a node probe what it holds, and nobody else.
func TestSuspicionOfStrangersIsIgnored(t *testing.T) {
	c := cluster(t, simnet.Config{Seed: 7, Space: dht.Space{Bits: 16}}, chord.Config{Successors: 2})
	c.Prefill(20)
	stranger := c.PrefillID(12345)
	accused := c.Members[3].Overlay.(*chord.Node)
	held := accused.Successors()[1]
	pings := func(p dht.Peer) uint64 {
		before := c.Delivered("ring_ping")
		c.Accuse(c.Members[0], c.Members[3], p)
		return c.Delivered("ring_ping") - before
	}
	if n := pings(held); n != 1 {
		t.Errorf("%d pings after a suspicion of a successor", n)
	}
	if n := pings(stranger.Peer()); n != 0 {
		t.Errorf("%d pings after a suspicion of a stranger", n)
	}
}
