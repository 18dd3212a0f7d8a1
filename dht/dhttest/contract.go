package dhttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/net/simnet"
)

// outsiders: a node that has not joined knows nothing, and refuses whatever it is
// asked: a node that joined through it would be in an overlay of its own.
func (s *suite) outsiders(t *testing.T) {
	c := s.cluster(t, simnet.Config{Seed: 120, Space: dht.Space{Bits: 8}})
	idle, joiner := c.PrefillID(10), c.PrefillID(20)
	joiner.Await("join", time.Minute, func(ctx context.Context) {
		for _, seed := range []*Member{idle, joiner} {
			if err := joiner.Overlay.Join(ctx, seed.Peer()); !errors.Is(err, dht.ErrNoRoute) {
				t.Errorf("%s joins through %s, which is no member: %v", joiner, seed, err)
			}
		}
		for _, k := range idle.Overlay.Kinds() {
			if _, err := dht.Call(ctx, joiner.Env(), idle.Peer(), k.New()); !errors.Is(err, dht.ErrRejected) {
				t.Errorf("a node that is no member answers %s: %v", k.Name, err)
			}
		}
		if _, err := joiner.Overlay.Lookup(ctx, dht.NewID(0, 1), 1); !errors.Is(err, dht.ErrNoRoute) {
			t.Errorf("lookup before joining: %v", err)
		}
		if near, sure := joiner.Overlay.Near(dht.NewID(0, 1), 1); len(near) > 0 || sure {
			t.Errorf("before joining, %v is near (sure: %v)", near, sure)
		}
	})
}

// refusals: a lookup of what cannot be is refused, with the input and what is allowed.
func (s *suite) refusals(t *testing.T) {
	c := s.grown(t, simnet.Config{Seed: 121, Space: dht.Space{Bits: 8}}, 1)
	m, outside := c.Members[0], dht.NewID(0, 256)
	_, err := c.Lookup(m, outside, 1)
	if !errors.Is(err, dht.ErrMalformed) || !strings.Contains(err.Error(), outside.String()) || !strings.Contains(err.Error(), "8 bits") {
		t.Errorf("lookup of %s, which is not in a space of 8 bits: %v", outside, err)
	}
	for _, n := range []int{0, -1, dht.MaxOwners + 1} {
		_, err := c.Lookup(m, dht.NewID(0, 1), n)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf(" %d ", n)) || !strings.Contains(err.Error(), fmt.Sprintf("1 to %d", dht.MaxOwners)) {
			t.Errorf("lookup of %d owners: %v", n, err)
		}
	}
}

// alone: the founder of an overlay owns everything, knows it, and asks nobody.
func (s *suite) alone(t *testing.T) {
	c := s.grown(t, simnet.Config{Seed: 122}, 1)
	m, key := c.Members[0], c.keys(1)[0]
	route, err := c.Lookup(m, key, 3)
	if err != nil || !equal(route.Owners, []dht.Peer{m.Peer()}) || len(route.Hops) != 0 || route.Messages != 0 {
		t.Errorf("a lookup by a node alone: %+v, %v", route, err)
	}
	for n, want := range map[int]int{-1: 0, 0: 0, 1: 1, 100: 1} {
		if near, sure := m.Overlay.Near(key, n); len(near) != want || sure != (want > 0) {
			t.Errorf("a node alone names %v as the nearest %d (sure: %v)", near, n, sure)
		}
	}
}

// tables: what a node shows of its table is what it holds, each place with a name.
func (s *suite) tables(t *testing.T) {
	c := s.grown(t, simnet.Config{Seed: 123}, 40)
	for _, m := range c.Members {
		table, held := m.Overlay.Table(), slices.Collect(m.Overlay.Peers())
		if table.Algorithm == "" || table.Self != m.Peer() {
			t.Errorf("%s shows the table of %s, algorithm %q", m, table.Self, table.Algorithm)
		}
		shown := 0
		for _, section := range table.Sections {
			for _, e := range section.Entries {
				if e.Label == "" || !slices.Contains(held, e.Peer) {
					t.Errorf("%s shows %s in the section %q under %q, and holds %v", m, e.Peer, section.Name, e.Label, held)
				}
			}
			shown += len(section.Entries)
		}
		if shown == 0 {
			t.Errorf("%s shows an empty table", m)
		}
	}
}
