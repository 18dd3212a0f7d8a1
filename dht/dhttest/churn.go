package dhttest

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/net/simnet"
)

// contended lets handlers and timers come between the end of a wait and the activity
// that waited, as they may on real machines.
var contended = simnet.Faults{Late: 0.3, LateBy: 30 * time.Millisecond}

// concurrentJoins: everybody at once through one seed.
func (s *suite) concurrentJoins(t *testing.T) {
	for seed := range uint64(5) {
		c := s.cluster(t, simnet.Config{Seed: 10 + seed, Faults: contended})
		first := c.Add()
		for range 15 {
			c.Add(first)
		}
		c.Converge(patience)
		c.agree(32)
	}
}

// joinsDuringLookups: while 40 nodes become 80, every lookup ends, and finds a live
// owner that nobody who had settled by then should have been named before.
func (s *suite) joinsDuringLookups(t *testing.T) {
	c := s.grown(t, simnet.Config{Seed: 20, Faults: contended}, 40)
	for i := range 40 {
		c.Net.After(time.Duration(i)*500*time.Millisecond, func() { c.Add(c.Members[i]) })
	}
	ended := 0
	for i, key := range c.keys(200) {
		c.Net.After(time.Duration(i)*100*time.Millisecond, func() {
			m := c.Members[i%40]
			settled := c.settled(10 * time.Second)
			m.Do("lookup", func(ctx context.Context) {
				route, err := m.Overlay.Lookup(ctx, key, 1)
				ended++
				c.plausible(m, route, err, settled)
			})
		})
	}
	c.Run(40*time.Second, nil)
	if ended != 200 {
		t.Errorf("%d of 200 lookups have ended", ended)
	}
	c.Converge(patience)
	c.agree(80)
}

// settled lists the members that joined at least d ago.
func (c *Cluster) settled(d time.Duration) []dht.Peer {
	var out []dht.Peer
	for _, m := range c.Live() {
		if m.Since+d <= c.Net.Now() {
			out = append(out, m.Peer())
		}
	}
	return out
}

// plausible demands an owner that lives and comes before all that had settled when
// the lookup began and live still.
func (c *Cluster) plausible(m *Member, r dht.Route, err error, settled []dht.Peer) bool {
	c.tb.Helper()
	if err != nil || len(r.Owners) == 0 {
		c.tb.Errorf("at %v: lookup of %s at %s: %v", c.Net.Now(), r.Key, m, err)
		return false
	}
	owner := r.Owners[0]
	known := []dht.Peer{owner}
	for _, p := range settled {
		if nd := c.Net.Lookup(p.Ref); nd.Alive() && nd.Peer() == p && !p.Same(owner) {
			known = append(known, p)
		}
	}
	slices.SortFunc(known, func(a, b dht.Peer) int { return a.ID.Cmp(b.ID) })
	if best := c.oracle(known, r.Key, 1)[0]; best != owner {
		c.tb.Errorf("at %v: lookup of %s at %s found %s, though %s is there", c.Net.Now(), r.Key, m, owner, best)
		return false
	}
	return true
}

// victims picks three in ten of the members, but never so many in a row that a node
// loses all its neighbours on one side at once.
func victims(ring []*Member, neighbours int) []*Member {
	var out []*Member
	row := 0
	for _, m := range ring {
		row++
		if m.Hash(1)%10 >= 3 || row == neighbours {
			row = 0
			continue
		}
		out = append(out, m)
	}
	return out
}

// crash: three in ten die at once. Lookups at once find live owners; some time
// later everything is right.
func (s *suite) crash(t *testing.T) {
	for seed := range uint64(3) {
		c := s.grown(t, simnet.Config{Seed: 30 + seed}, 60)
		c.Run(time.Minute, nil)
		c.Crash(victims(c.Live(), s.Neighbours)...)
		live := c.Live()
		if len(live) == 60 {
			t.Fatalf("seed %d: nobody crashed", 30+seed)
		}
		for i, key := range c.keys(40) {
			m := live[i%len(live)]
			route, err := c.Lookup(m, key, 3)
			if want := c.Owners(key, 1); err != nil || len(route.Owners) == 0 || route.Owners[0] != want[0] {
				t.Errorf("seed %d, after the crash: %s found %v for %s (%v), not %v", 30+seed, m, route.Owners, key, err, want)
			}
		}
		c.Converge(patience)
		c.agree(60)
	}
}

// repair: a single crash is repaired within seconds, in the farthest neighbour's list
// too: what a store does about the lost copies waits for it. Time runs on from the
// crash, no lookup hastens the repair.
func (s *suite) repair(t *testing.T) {
	for seed := range uint64(10) {
		c := s.grown(t, simnet.Config{Seed: 35 + seed}, 20)
		c.Run(time.Minute, nil)
		c.Crash(c.Members[5])
		took := c.Converge(patience)
		t.Logf("right again after %v", took)
		if took > 15*time.Second {
			t.Errorf("seed %d: the repair of one crash took %v", 35+seed, took)
		}
	}
}

// leave: half of the nodes go, one after another; nothing is ever wrong for longer
// than a message takes, and nobody needs a time-out to notice.
func (s *suite) leave(t *testing.T) {
	c := s.grown(t, simnet.Config{Seed: 40}, 30)
	for i := range 15 {
		c.Leave(c.Members[2*i])
		c.Run(200*time.Millisecond, nil)
		m := c.Live()[i%len(c.Live())]
		key := c.Members[2*i].Peer().ID
		route, err := c.Lookup(m, key, 1)
		if want := c.Owners(key, 1); err != nil || !equal(route.Owners, want) {
			t.Errorf("after %s left, %s found %v (%v), not %v", c.Members[2*i], m, route.Owners, err, want)
		}
	}
	if took := c.Converge(patience); took > 10*time.Second {
		t.Errorf("it took %v to be right after the last good-bye", took)
	}
	c.agree(30)
}

// restart: nodes that crash and come back under their identifiers, without memory,
// are found again as what they are now, whether or not their death was noticed.
func (s *suite) restart(t *testing.T) {
	for i, down := range []time.Duration{0, 300 * time.Millisecond, 3 * time.Second, 30 * time.Second} {
		c := s.grown(t, simnet.Config{Seed: 50 + uint64(i)}, 20)
		for round := range 4 {
			m := c.Members[3+5*round]
			c.Crash(m)
			c.Run(down, nil)
			c.Restart(m, c.Members[0], c.Members[1])
			c.Run(time.Second, nil)
		}
		c.Converge(patience)
		c.agree(40)
		for _, m := range []*Member{c.Members[3], c.Members[18]} {
			route, err := c.Lookup(c.Members[0], m.Peer().ID, 1)
			if err != nil || len(route.Owners) != 1 || route.Owners[0] != m.Peer() || m.Peer().Inc != 2 {
				t.Errorf("down for %v: %s was found as %v (%v)", down, m, names(route.Owners), err)
			}
		}
	}
}

// churn: a base stays, others come, several at once, and crash or leave, never more
// at once than the lists bear, and each with an identifier of its own: the
// assumptions of the proof. The invariant holds at every step.
func (s *suite) churn(t *testing.T) {
	const r = 2
	v := s.variant
	v.Neighbours, v.Space = r, dht.Space{Bits: 10}
	for seed := range uint64(8) {
		c := s.clusterOf(t, simnet.Config{Seed: 60 + seed, Space: v.Space, Faults: simnet.Faults{Jitter: 100 * time.Millisecond, Late: 0.2, LateBy: 30 * time.Millisecond}}, v)
		c.Grow(r + 2)
		c.Converge(patience)
		if _, ok := c.Members[0].Overlay.(Ringed); ok {
			c.check = newInvariants().zave(r)
		}
		rng := rand.New(rand.NewPCG(c.Net.Seed(), 1))
		base := len(c.Members)
		for len(c.Members) < everyStep {
			for range 1 + rng.IntN(3) {
				c.Add(c.Members[rng.IntN(base)])
				c.Run(time.Duration(rng.IntN(2000))*time.Millisecond, nil)
			}
			if m := c.Members[base+rng.IntN(len(c.Members)-base)]; m.Alive() && m.Joined && rng.IntN(2) == 0 {
				if rng.IntN(3) == 0 {
					c.Leave(m)
				} else {
					c.Crash(m)
				}
				c.Run(15*time.Second, nil)
			}
		}
		c.Converge(patience)
		c.agree(16)
	}
}
