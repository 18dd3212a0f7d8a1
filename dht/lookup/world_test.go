package lookup

import (
	"context"
	"iter"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/net/simnet"
)

const ms = time.Millisecond

// space is that of all hosts.
var space = dht.Space{Bits: 16}

// host is a node that runs lookups and nothing else.
type host[S comparable] struct {
	*simnet.Node
	driver *Driver[S]
	found  int // requests answered
	refuse error
}

func (h *host[S]) Kinds() []dht.Kind         { return h.driver.Kinds() }
func (h *host[S]) Peers() iter.Seq[dht.Peer] { return func(func(dht.Peer) bool) {} }

func (h *host[S]) Handle(_ dht.Peer, req dht.Message, r dht.Reply) {
	if h.refuse != nil {
		r.Send(nil, h.refuse)
		return
	}
	if _, ok := req.(*find[S]); ok {
		h.found++
	}
	if !h.driver.Handle(req, r) {
		r.Send(nil, dht.ErrUnknownMessage)
	}
}

// newNet makes a world with 10 ms each way, whose messages pass the codec.
func newNet(t testing.TB) *simnet.Net {
	n := simnet.New(simnet.Config{Seed: 1, Space: space, Latency: simnet.Constant(10 * ms), CheckCodec: true})
	t.Cleanup(n.Close)
	return n
}

// addHost starts a node whose lookups router answers.
func addHost[S comparable](t testing.TB, n *simnet.Net, id uint64, router Router[S], cfg Config) *host[S] {
	resolved, err := cfg.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	h := &host[S]{}
	h.Node = n.AddID(dht.NewID(0, id), func(env dht.Env) []dht.Service {
		h.driver = New(env, router, space, resolved)
		return []dht.Service{h}
	})
	return h
}

// lookup runs one lookup to its end.
func (h *host[S]) lookup(t testing.TB, key uint64, n int) (dht.Route, error) {
	t.Helper()
	var route dht.Route
	var err error
	if !h.Await("lookup", time.Minute, func(ctx context.Context) {
		route, err = h.driver.Lookup(ctx, dht.NewID(0, key), n)
	}) {
		t.Fatalf("the lookup of %d did not end", key)
	}
	return route, err
}

func ids(peers []dht.Peer) []uint64 {
	out := make([]uint64, len(peers))
	for i, p := range peers {
		out[i] = p.ID.Lo()
	}
	return out
}

func hopIDs(r dht.Route) []uint64 {
	out := make([]uint64, len(r.Hops))
	for i, h := range r.Hops {
		out[i] = h.Peer.ID.Lo()
	}
	return out
}
