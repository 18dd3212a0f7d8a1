package kademlia_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/dht/lookup"
	"dyschord/kademlia"
	"dyschord/net/simnet"
)

// A node that comes back under its identifier must not find itself, and must not be
// taken for another node with its identifier.
func TestRestartDoesNotFindItself(t *testing.T) {
	c := cluster(t, simnet.Config{Seed: 2, Space: dht.Space{Bits: 8}, Latency: simnet.Constant(10 * time.Millisecond)}, kademlia.Config{})
	c.Grow(2)
	first, m := c.Members[0], c.Members[1]
	for range 3 {
		c.Crash(m)
		c.Restart(m, first)
		if !c.Run(500*time.Millisecond, func() bool { return m.Joined }) {
			t.Fatal("it did not join again at its first attempt")
		}
		c.Run(2*time.Second, nil)
		near, sure := m.Overlay.Near(m.Peer().ID, 3)
		if !sure || len(near) != 2 || near[0] != m.Peer() || near[1] != first.Peer() {
			t.Errorf("incarnation %d finds %v (sure: %v)", m.Peer().Inc, near, sure)
		}
	}
}

func TestConfigRefuses(t *testing.T) {
	for want, cfg := range map[string]kademlia.Config{
		"kademlia.k 33":             {K: 33},
		"kademlia.k -1":             {K: -1},
		"kademlia.siblings 33":      {Siblings: 33},
		"kademlia.interval 1ms":     {Interval: time.Millisecond},
		"kademlia.refresh -1":       {Refresh: -1},
		"kademlia.tries 11":         {Tries: 11},
		"kademlia.heal_every 10001": {HealEvery: 10_001},
		"lookup.alpha 17":           {Lookup: lookup.Config{Alpha: 17}},
		"lookup.timeout 1ms":        {Lookup: lookup.Config{Timeout: time.Millisecond}},
		"identifier width":          {Space: dht.Space{Bits: 3}},
	} {
		_, err := kademlia.Factory(cfg)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "allowed") {
			t.Errorf("%+v: the error is %v, which does not say %q and what is allowed", cfg, err, want)
		}
	}
}

// The table shows each peer once, in its place.
func TestTableShowsBuckets(t *testing.T) {
	c := cluster(t, simnet.Config{Seed: 6}, kademlia.Config{})
	c.Prefill(200)
	c.Net.RunFor(time.Minute)
	m := c.Members[0]
	table := m.Overlay.Table()
	if table.Algorithm != "kademlia" || table.Self != m.Peer() || len(table.Sections) != 3 {
		t.Fatalf("%+v", table)
	}
	for i, want := range []struct {
		name, label string
		entries     int
	}{{"siblings", "sibling 1, ", 20}, {"buckets", "bucket 0, 0 bits shared", 60}, {"replacement cache", "", 0}} {
		s := table.Sections[i]
		if s.Name != want.name || len(s.Entries) < want.entries || len(s.Entries) > 0 && !strings.HasPrefix(s.Entries[0].Label, want.label) {
			t.Errorf("section %q has %d entries, the first %+v", s.Name, len(s.Entries), s.Entries[:min(1, len(s.Entries))])
		}
	}
}

// Each hop is explained by the bucket it came from and the bits it shares with the key.
func TestHopsAreExplained(t *testing.T) {
	for _, style := range []lookup.Style{lookup.Iterative, lookup.Recursive} {
		c := cluster(t, simnet.Config{Seed: 7}, kademlia.Config{K: 2, Siblings: 4, Lookup: lookup.Config{Style: style}})
		c.Prefill(200)
		width := int(dht.Space{}.Width())
		for i, m := range c.Members {
			key := dht.Space{}.KeyID([]byte{byte(i)})
			route, err := c.Lookup(m, key, 1)
			if err != nil {
				t.Fatal(err)
			}
			last := m.Peer()
			for _, h := range route.Hops {
				bucket, shared := width-last.ID.Xor(h.Peer.ID).Len(), width-key.Xor(h.Peer.ID).Len()
				why := m.Overlay.Explain(h.Why)
				if !strings.Contains(why, "bucket "+strconv.Itoa(bucket)) || !strings.Contains(why, "shares "+strconv.Itoa(shared)+" bit") {
					t.Errorf("%v: the hop from %s to %s on the way to %s: %q, not bucket %d and %d bits", style, last, h.Peer, key, why, bucket, shared)
				}
				last = h.Peer
			}
		}
	}
	c := cluster(t, simnet.Config{}, kademlia.Config{})
	explain := c.PrefillID(1).Overlay.Explain
	if why := explain(dht.Reason{Rule: lookup.RuleSeed}); why != "seed" {
		t.Errorf("a seed is %q", why)
	}
	if why := explain(dht.Reason{Rule: 77}); !strings.Contains(why, "77") {
		t.Errorf("an unknown rule is %q", why)
	}
}
