package dhttest

import (
	"context"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/net/simnet"
)

func (s *suite) owners(t *testing.T) {
	for _, space := range []dht.Space{{}, {Bits: 64}, {Bits: 12}} {
		c := s.grown(t, simnet.Config{Seed: 1, Space: space}, 24)
		c.agree(100)
	}
}

// near: a sure answer is the oracle's, and every node is sure of its own place.
func (s *suite) near(t *testing.T) {
	c := s.grown(t, simnet.Config{Seed: 2}, 40)
	sureAnswers := 0
	for _, m := range c.Members {
		for _, key := range append(c.keys(50), m.Peer().ID) {
			near, sure := m.Overlay.Near(key, 3)
			if want := c.Owners(key, 3); sure && !equal(near, want) {
				t.Errorf("%s is sure that %v own %s, not %v", m, near, key, want)
			}
			if key == m.Peer().ID && !sure {
				t.Errorf("%s is not sure of its own place", m)
			}
			if sure {
				sureAnswers++
			}
			if len(near) == 0 {
				t.Errorf("%s has no guess at the owners of %s", m, key)
			}
		}
	}
	if sureAnswers < 2*len(c.Members) {
		t.Errorf("%d sure answers of %d nodes", sureAnswers, len(c.Members))
	}
}

// smallClusters: from one node to one more than a node keeps neighbours, and back.
func (s *suite) smallClusters(t *testing.T) {
	v := s.variant
	v.Neighbours = min(s.Neighbours, 3)
	for n := 1; n <= v.Neighbours+1; n++ {
		v.Space = dht.Space{Bits: 16}
		c := s.clusterOf(t, simnet.Config{Seed: uint64(n), Space: v.Space}, v)
		c.Grow(n)
		c.Converge(patience)
		c.agree(16)
		c.nearKnowsAll(n)
		for len(c.Live()) > 1 {
			c.Crash(c.Live()[0])
			c.Converge(patience)
			c.agree(8)
		}
	}
}

// nearKnowsAll: in a cluster no larger than a neighbourhood everybody knows, and is
// sure of, all owners of everything.
func (c *Cluster) nearKnowsAll(n int) {
	c.tb.Helper()
	for _, m := range c.Live() {
		for _, key := range c.keys(8) {
			near, sure := m.Overlay.Near(key, n+1)
			if want := c.Owners(key, n); !sure || !equal(near, want) {
				c.tb.Errorf("%s among %d names %v for %s (sure: %v), not %v", m, n, near, key, sure, want)
			}
		}
	}
}

// hopBound: lookups of a converged overlay are short, and count as defined.
func (s *suite) hopBound(t *testing.T) {
	const n = 100
	c := s.grown(t, simnet.Config{Seed: 3}, n)
	c.Run(patience, nil) // for tables that make lookups short, not right
	bound := s.MaxHops(n)
	for i, key := range c.keys(200) {
		m := c.Members[i%n]
		route, err := c.Lookup(m, key, 1)
		if err != nil || len(route.Hops) > bound {
			t.Errorf("lookup of %s at %s took %d hops (%v), more than %d", key, m, len(route.Hops), err, bound)
		}
		if route.Timeouts > 0 || route.Messages < len(route.Hops) {
			t.Errorf("lookup of %s at %s: %d messages and %d time-outs for %d hops", key, m, route.Messages, route.Timeouts, len(route.Hops))
		}
		c.checkRoute(m, route)
	}
}

// crosstalk: two neighbours that call each other at the same instant, again and
// again, and at last say good-bye to each other. Neither may wait for the other's
// wait: every call ends in the time that the network takes.
func (s *suite) crosstalk(t *testing.T) {
	const delay = 10 * time.Millisecond
	c := s.grown(t, simnet.Config{Seed: 4, Latency: simnet.Constant(delay)}, 2)
	for round := range 50 {
		ended := 0
		began := c.Net.Now()
		for i, m := range c.Members {
			other := c.Members[1-i].Peer().ID
			for range 4 {
				m.Do("lookup", func(ctx context.Context) {
					if _, err := m.Overlay.Lookup(ctx, other, 2); err != nil {
						t.Errorf("round %d: lookup at %s: %v", round, m, err)
					}
					ended++
				})
			}
		}
		c.Run(time.Second, func() bool { return ended == 8 })
		if took := c.Net.Now() - began; ended < 8 || took > 8*delay {
			t.Fatalf("round %d: %d of 8 lookups between two neighbours ended in %v", round, ended, took)
		}
	}
	left := 0
	for _, m := range c.Members {
		m.Do("leave", func(ctx context.Context) {
			if err := m.Overlay.Leave(ctx); err != nil {
				t.Errorf("leave at %s: %v", m, err)
			}
			left++
		})
	}
	if !c.Run(time.Second, func() bool { return left == 2 }) {
		t.Errorf("%d of 2 neighbours that leave each other have left", left)
	}
}
