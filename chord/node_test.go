package chord_test

import (
	"context"
	"errors"
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

// A node that has not joined knows nothing; a node that joined through it would be
// in a ring of its own.
func TestRefusesBeforeJoining(t *testing.T) {
	c := cluster(t, simnet.Config{Seed: 1, Space: dht.Space{Bits: 8}}, chord.Config{})
	idle, joiner := c.PrefillID(10), c.PrefillID(20)
	joiner.Await("join", time.Minute, func(ctx context.Context) {
		if err := joiner.Overlay.Join(ctx, idle.Peer()); !errors.Is(err, dht.ErrNoRoute) {
			t.Errorf("joining through a node that is no member: %v", err)
		}
		if _, err := joiner.Overlay.Lookup(ctx, dht.NewID(0, 1), 1); !errors.Is(err, dht.ErrNoRoute) {
			t.Errorf("lookup before joining: %v", err)
		}
		if near, sure := joiner.Overlay.Near(dht.NewID(0, 1), 1); len(near) > 0 || sure {
			t.Errorf("before joining, %v is near (sure: %v)", near, sure)
		}
	})
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
	before := c.Net.Stats().Requests
	c.Net.RunFor(100 * time.Second)
	rate := float64(c.Net.Stats().Requests-before) / 100 / 100
	t.Logf("%.2f requests per node and second", rate)
	if rate > 1.6 {
		t.Errorf("%.2f requests per node and second", rate)
	}
}

func TestLookupRefuses(t *testing.T) {
	c := cluster(t, simnet.Config{Seed: 4, Space: dht.Space{Bits: 8}}, chord.Config{})
	m := c.AddID(10)
	c.Run(time.Second, nil)
	m.Await("lookup", time.Minute, func(ctx context.Context) {
		if _, err := m.Overlay.Lookup(ctx, dht.NewID(0, 256), 1); !errors.Is(err, dht.ErrMalformed) || !strings.Contains(err.Error(), "8 bits") {
			t.Errorf("an identifier outside of the space: %v", err)
		}
		for _, n := range []int{0, -1, dht.MaxOwners + 1} {
			if _, err := m.Overlay.Lookup(ctx, dht.NewID(0, 1), n); err == nil {
				t.Errorf("%d owners were looked up", n)
			}
		}
		route, err := m.Overlay.Lookup(ctx, dht.NewID(0, 1), 3)
		if err != nil || len(route.Owners) != 1 || len(route.Hops) != 0 || route.Messages != 0 {
			t.Errorf("a lookup by a node alone: %+v, %v", route, err)
		}
	})
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
	held := map[dht.Peer]bool{}
	for p := range m.Overlay.Peers() {
		held[p] = true
	}
	for i, want := range []int{1, 8, 4} {
		s := table.Sections[i]
		if len(s.Entries) < want {
			t.Errorf("section %q has %d entries, fewer than %d", s.Name, len(s.Entries), want)
		}
		for _, e := range s.Entries {
			if e.Label == "" || !held[e.Peer] {
				t.Errorf("section %q: entry %q for %s, which is among the peers: %v", s.Name, e.Label, e.Peer, held[e.Peer])
			}
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
		before := delivered(c, "ring_ping")
		c.Members[0].Await("accuse", time.Minute, func(ctx context.Context) {
			if _, err := dht.Call(ctx, c.Members[0].Env(), c.Members[3].Peer(), suspicion(accused, p)); err != nil {
				t.Errorf("the suspicion was not taken: %v", err)
			}
		})
		c.Net.RunFor(time.Second)
		return delivered(c, "ring_ping") - before
	}
	if n := pings(held); n != 1 {
		t.Errorf("%d pings after a suspicion of a successor", n)
	}
	if n := pings(stranger.Peer()); n != 0 {
		t.Errorf("%d pings after a suspicion of a stranger", n)
	}
}

func suspicion(n *chord.Node, p dht.Peer) dht.Message {
	for _, k := range n.Kinds() {
		if k.Name == "suspect" {
			m := k.New()
			m.EachPeer(func(q *dht.Peer) { *q = p })
			return m
		}
	}
	return nil
}

func delivered(c *dhttest.Cluster, name string) uint64 {
	for _, k := range c.Net.Stats().Kinds {
		if k.Name == name {
			return k.Delivered
		}
	}
	return 0
}
