package kademlia_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/dht/dhttest"
	"dyschord/dht/lookup"
	"dyschord/kademlia"
	"dyschord/net/simnet"
)

// figures are what lookups of a quiet overlay cost.
type figures struct {
	lookups, exact         int
	rounds, hops, messages int // sums
	mostRounds             int
}

func (f *figures) count(r dht.Route, exact bool) {
	f.lookups++
	if exact {
		f.exact++
	}
	f.rounds += r.Rounds
	f.hops += len(r.Hops)
	f.messages += r.Messages
	f.mostRounds = max(f.mostRounds, r.Rounds)
}

func mean(sum, n int) float64 { return float64(sum) / float64(n) }

// quiet runs a lookup of the given number of owners at each of n nodes with perfect
// tables.
func quiet(t *testing.T, f *figures, seed uint64, n, owners int, cfg kademlia.Config) {
	c := cluster(t, simnet.Config{Seed: seed}, cfg)
	defer c.Net.Close()
	c.Prefill(n)
	sorted := c.Owners(dht.ID{}, n)
	slices.SortFunc(sorted, func(a, b dht.Peer) int { return a.ID.Cmp(b.ID) })
	for i, m := range c.Members {
		key := dht.Space{}.KeyID([]byte{byte(seed), byte(i), byte(i >> 8)})
		m.Do("lookup", func(ctx context.Context) {
			route, err := m.Overlay.Lookup(ctx, key, owners)
			want := dht.Closest(sorted, key, owners)
			exact := err == nil && slices.Equal(route.Owners, want)
			if !exact {
				t.Errorf("seed %d: lookup of %s at %s found %v (%v), not %v", seed, key, m, route.Owners, err, want)
			}
			f.count(route, exact)
		})
	}
	c.Net.RunFor(10 * time.Second)
}

func cluster(t testing.TB, world simnet.Config, cfg kademlia.Config) *dhttest.Cluster {
	t.Helper()
	cfg.Space = world.Space
	factory, err := kademlia.Factory(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return dhttest.NewCluster(t, world, factory, dht.Closest)
}

// The paper's promise is that each step halves the distance at least; with buckets of
// 20 a step does far better. Lookups of a quiet overlay are exact, without exception.
func TestRoundsOfAQuietOverlay(t *testing.T) {
	if testing.Short() {
		t.Skip("nothing runs at the same time here; too slow under the race detector")
	}
	for _, row := range []struct {
		style        lookup.Style
		alpha        int
		owners       int
		rounds, hops float64 // means, at most
		most         int     // rounds
	}{
		{lookup.Iterative, 3, 3, 2.2, 2.2, 4},
		{lookup.Iterative, 1, 3, 2.35, 2.05, 4},
		{lookup.Iterative, 1, 1, 2.05, 2.05, 4},
		{lookup.Recursive, 1, 3, 2, 2.05, 2},
	} {
		var f figures
		for seed := range uint64(5) {
			quiet(t, &f, seed+1, 1024, row.owners, kademlia.Config{Lookup: lookup.Config{Alpha: row.alpha, Style: row.style}})
		}
		rounds, hops := mean(f.rounds, f.lookups), mean(f.hops, f.lookups)
		t.Logf("%v, alpha %d, %d owners: %.3f rounds (%d at most), %.3f hops, %.2f messages",
			row.style, row.alpha, row.owners, rounds, f.mostRounds, hops, mean(f.messages, f.lookups))
		if f.lookups != 5*1024 || f.exact != f.lookups {
			t.Errorf("%v, alpha %d: %d of %d lookups were exact", row.style, row.alpha, f.exact, f.lookups)
		}
		if rounds > row.rounds || hops > row.hops || f.mostRounds > row.most {
			t.Errorf("%v, alpha %d, %d owners: %.3f rounds, %d at most, and %.3f hops; want at most %.2f, %d and %.2f",
				row.style, row.alpha, row.owners, rounds, f.mostRounds, hops, row.rounds, row.most, row.hops)
		}
	}
}

// Lookups are exact as long as every node knows one node in each of the ranges in which
// there are any, however little it knows besides and however little an answer holds.
func TestExactWithTheLeastOfTables(t *testing.T) {
	for seed := range uint64(12) {
		space := dht.Space{Bits: 6}
		c := cluster(t, simnet.Config{Seed: seed, Space: space}, kademlia.Config{
			K: 1, Siblings: 1, Interval: time.Hour,
			Lookup: lookup.Config{Redundancy: 1 + int(seed)%3, Alpha: 1 + int(seed)%2, Style: lookup.Style(seed / 2 % 2)},
		})
		c.Prefill(6 + 2*int(seed))
		for key := range uint64(64) {
			m, n := c.Members[int(key)%len(c.Members)], 1+int(key)%5
			route, err := c.Lookup(m, dht.NewID(0, key), n)
			if want := c.Owners(dht.NewID(0, key), n); err != nil || !slices.Equal(route.Owners, want) {
				t.Errorf("seed %d: the %d closest to %d are %v for %s (%v), not %v", seed, n, key, route.Owners, m, err, want)
			}
		}
	}
}
