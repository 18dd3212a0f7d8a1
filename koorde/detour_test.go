package koorde

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/dht/dhttest"
	"dyschord/dht/lookup"
	"dyschord/net/simnet"
)

// still is a ring of perfect tables in which nothing is repaired: lookups must get by
// with what is there.
func still(t *testing.T, n int, style lookup.Style) *dhttest.Cluster {
	t.Helper()
	factory, err := Factory(Config{Stabilize: time.Hour, Lookup: lookup.Config{Style: style}})
	if err != nil {
		t.Fatal(err)
	}
	c := dhttest.NewCluster(t, simnet.Config{Seed: 1}, factory, dht.Successors)
	c.Prefill(n)
	return c
}

// expectRight looks keys up, each at another member, and returns the mean hops.
func expectRight(t *testing.T, c *dhttest.Cluster, what string, count, least int) float64 {
	t.Helper()
	live := c.Live()
	var members []dht.Peer
	for _, m := range live {
		members = append(members, m.Peer())
	}
	right, hops := 0, 0
	for i := range count {
		m, key := live[i%len(live)], dht.Space{}.KeyID([]byte{byte(i), byte(i >> 8)})
		route, err := c.Lookup(m, key, 1)
		if err == nil && route.Owners[0] == dht.Successors(members, key, 1)[0] {
			right++
			hops += len(route.Hops)
		}
	}
	if right < least {
		t.Errorf("%s: %d of %d lookups are right", what, right, count)
	}
	t.Logf("%s: %d of %d, %.2f hops", what, right, count, float64(hops)/float64(max(1, right)))
	return float64(hops) / float64(max(1, right))
}

var styles = []lookup.Style{lookup.Iterative, lookup.Recursive}

// A node without pointers looks up, and is looked up through: its successors begin the
// walk anew. It does not walk the ring.
func TestLooksUpWithoutPointers(t *testing.T) {
	for _, style := range styles {
		c := still(t, 3000, style)
		for i, m := range c.Members {
			if i%3 == 0 {
				m.Overlay.(*Node).pointers = nil
			}
		}
		if hops := expectRight(t, c, style.String(), 400, 400); hops > 14 {
			t.Errorf("%s: %.2f hops", style, hops)
		}
	}
}

// Where the anchor is dead the backups take its place, and where the node that stands
// for an imaginary node is dead the one before it shifts. Lookups get longer, not
// wrong: of 400 nodes 120 have died, and nobody has noticed.
func TestLooksUpPastTheDead(t *testing.T) {
	for _, style := range styles {
		c := still(t, 400, style)
		rng := rand.New(rand.NewPCG(1, 1))
		for _, i := range rng.Perm(400)[:120] {
			c.Crash(c.Members[i])
		}
		if hops := expectRight(t, c, style.String(), 280, 279); hops > 7 {
			t.Errorf("%s: %.2f hops", style, hops)
		}
	}
}

// Without any node at or before k·m, an imaginary node just behind it can be reached
// in no other way than by beginning anew.
func TestAnchorAndBackupsAreDead(t *testing.T) {
	for _, style := range styles {
		c := still(t, 400, style)
		for _, m := range c.Members {
			n := m.Overlay.(*Node)
			n.pointers = slices.Clone(n.pointers[n.window().ahead(n.pointers):])
		}
		if hops := expectRight(t, c, style.String(), 400, 400); hops > 7 {
			t.Errorf("%s: %.2f hops", style, hops)
		}
	}
}

// The identifiers 00…0 and ff…f stay where they are when a digit like theirs is shifted
// in, and so does any other whose digits are all the same: the node before such a point
// is its own anchor, and moves to itself.
func TestFixedPointsAreNoLoop(t *testing.T) {
	for _, degree := range []int{2, 16} {
		for _, style := range styles {
			space := dht.Space{Bits: 16}
			factory, err := Factory(Config{Space: space, Degree: degree, Successors: 2, Lookup: lookup.Config{Style: style}})
			if err != nil {
				t.Fatal(err)
			}
			c := dhttest.NewCluster(t, simnet.Config{Seed: 1, Space: space, CheckCodec: true}, factory, dht.Successors)
			for i := range uint64(100) {
				c.PrefillID((i*650 + 17*i%91) & 0xffff)
			}
			c.Perfect()
			for _, key := range []uint64{0, 0xffff, 0x1111, 0x8888, 0xaaaa, 0x5555, 1, 0xfffe, 0x7fff, 0x8000} {
				for _, m := range c.Members {
					key := dht.NewID(0, key)
					route, err := c.Lookup(m, key, 1)
					if err != nil || route.Owners[0] != c.Owners(key, 1)[0] || len(route.Hops) > 20 {
						t.Errorf("degree %d, %s: lookup of %s at %s: %v, %d hops, %v", degree, style, key, m, route.Owners, len(route.Hops), err)
					}
				}
			}
		}
	}
}
