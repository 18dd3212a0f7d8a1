package kv

import (
	"context"
	"iter"
	"os"
	"slices"
	"strings"
	"testing"

	"dyschord/chord"
	"dyschord/dht"
	"dyschord/dht/overlays"
	"dyschord/kademlia"
	"dyschord/koorde"
	"dyschord/net/simnet"
)

// algorithms are those that tests run on: all, or the one that KV_ALGORITHM names.
func algorithms(t testing.TB) []string {
	all := overlays.Names()
	only := os.Getenv("KV_ALGORITHM")
	if only == "" {
		return all
	}
	if !slices.Contains(all, only) {
		t.Fatalf("KV_ALGORITHM is %q: %s is allowed", only, strings.Join(all, ", "))
	}
	return []string{only}
}

// on runs a cluster on an algorithm instead of an overlay that knows everything.
func on(t testing.TB, algorithm string) option {
	t.Helper()
	return configured(t, algorithm, overlays.Config{})
}

// narrow are settings with which no node knows all others of even a small cluster: it
// is sure of owners near itself, and asks for the rest.
func narrow(replicas int) overlays.Config {
	return overlays.Config{
		Chord:    chord.Config{Successors: replicas},
		Kademlia: kademlia.Config{K: 1, Siblings: replicas},
		Koorde:   koorde.Config{Degree: 2, Pointers: 2, Successors: replicas},
	}
}

func configured(t testing.TB, algorithm string, cfg overlays.Config) option {
	t.Helper()
	factory, err := overlays.New(algorithm, cfg)
	if err != nil {
		t.Fatal(err)
	}
	owners, err := overlays.Owners(algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return func(c *cluster, _ *simnet.Config) { c.factory, c.owners = factory, owners }
}

// onEach runs a test once on each algorithm.
func onEach(t *testing.T, f func(t *testing.T, overlay option)) {
	for _, algorithm := range algorithms(t) {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			f(t, on(t, algorithm))
		})
	}
}

// ofSeed is the algorithm that a seed runs on. What else depends on the seed goes by
// its remainders, so that each algorithm meets all of it.
func ofSeed(t testing.TB, seed uint64) string {
	all := algorithms(t)
	return all[seed/3%uint64(len(all))]
}

// oracle is an overlay that knows which nodes are alive.
type oracle struct{ c *cluster }

func (*oracle) Kinds() []dht.Kind                             { return nil }
func (*oracle) Handle(_ dht.Peer, _ dht.Message, r dht.Reply) { r.Send(nil, dht.ErrUnknownMessage) }
func (*oracle) Join(context.Context, ...dht.Peer) error       { return nil }
func (*oracle) Leave(context.Context) error                   { return nil }
func (*oracle) Table() dht.Table                              { return dht.Table{} }
func (*oracle) Explain(dht.Reason) string                     { return "" }

func (o *oracle) Near(key dht.ID, n int) ([]dht.Peer, bool) {
	return o.c.owners(o.c.running(), key, n), true
}

func (o *oracle) Lookup(_ context.Context, key dht.ID, n int) (dht.Route, error) {
	owners, _ := o.Near(key, n)
	return dht.Route{Key: key, Owners: owners}, nil
}

func (o *oracle) Peers() iter.Seq[dht.Peer] { return slices.Values(o.c.running()) }

// running are the nodes that are up and have not left, by identifier.
func (c *cluster) running() []dht.Peer {
	var all []dht.Peer
	for _, m := range c.members {
		if m.sim != nil && m.up() && !m.gone {
			all = append(all, m.sim.Peer())
		}
	}
	slices.SortFunc(all, func(a, b dht.Peer) int { return a.ID.Cmp(b.ID) })
	return all
}

// placed says whether every slot is held by exactly those of the running nodes that
// the algorithm's definition of ownership names, the first of them its primary.
func (c *cluster) placed() bool {
	for id := range uint32(c.cfg.Slots) {
		want := c.owners(c.running(), c.cfg.first(id), c.replicas())
		now := c.newestOf(id)
		if now == nil || len(now.Members) != len(want) || !now.primary().Same(want[0]) {
			return false
		}
		for _, p := range want {
			if !now.has(p) {
				return false
			}
		}
	}
	return true
}
