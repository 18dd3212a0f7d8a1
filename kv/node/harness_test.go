package node

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"dyschord/chord"
	"dyschord/dht"
	"dyschord/dht/overlays"
	"dyschord/kademlia"
	"dyschord/koorde"
	"dyschord/kv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// brisk is the configuration of a test's nodes: upkeep without long waits.
func brisk() Config {
	return Config{
		Slots: 16, Heartbeat: 100 * time.Millisecond,
		Overlay: overlays.Config{
			Chord:    chord.Config{Stabilize: 100 * time.Millisecond},
			Kademlia: kademlia.Config{Interval: 100 * time.Millisecond},
			Koorde:   koorde.Config{Stabilize: 100 * time.Millisecond},
		},
	}
}

// onEach runs a test on nodes of each algorithm.
func onEach(t *testing.T, f func(t *testing.T, cfg Config)) {
	for _, algorithm := range overlays.Names() {
		t.Run(algorithm, func(t *testing.T) {
			cfg := brisk()
			cfg.Algorithm = algorithm
			f(t, cfg)
		})
	}
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func start(t *testing.T, cfg Config) *Node {
	t.Helper()
	n, err := Start(deadline(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func ready(t *testing.T, nodes ...*Node) {
	t.Helper()
	for _, n := range nodes {
		if err := n.Ready(deadline(t)); err != nil {
			t.Fatal(err)
		}
	}
}

// cluster starts n nodes of cfg that join through the first and waits until all are
// ready. Each keeps its data in a directory of its own below cfg.DataDir, if that is
// not empty.
func cluster(t *testing.T, cfg Config, n int) []*Node {
	t.Helper()
	var nodes []*Node
	for i := range n {
		cfg := cfg
		if cfg.DataDir != "" {
			cfg.DataDir = filepath.Join(cfg.DataDir, fmt.Sprint(i))
		}
		if i > 0 {
			cfg.Bootstrap = nodes[0].Addrs()
		}
		nodes = append(nodes, start(t, cfg))
	}
	ready(t, nodes...)
	return nodes
}

// eventually polls a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for ctx := deadline(t); !ok(); {
		if !wait(ctx, pollEvery) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// owner is who n finds for an identifier.
func (n *Node) owner(ctx context.Context, id dht.ID) (peer string) {
	n.host.Do(ctx, func(ctx context.Context) {
		if route, err := n.overlay.Lookup(ctx, id, 1); err == nil && len(route.Owners) > 0 {
			peer = n.host.PeerIDOf(route.Owners[0])
		}
	})
	return peer
}

// agree waits until every node finds every node.
func agree(t *testing.T, nodes []*Node) {
	t.Helper()
	for _, asks := range nodes {
		for _, found := range nodes {
			eventually(t, asks.ID()+" finds "+found.ID(), func() bool {
				return asks.owner(t.Context(), found.self().ID) == found.PeerID()
			})
		}
	}
}

func settled(t *testing.T, nodes ...*Node) {
	t.Helper()
	for _, n := range nodes {
		if err := n.Settled(deadline(t), len(nodes)); err != nil {
			t.Fatal(err)
		}
	}
}

// put and get are operations of a client at n.
func (n *Node) put(ctx context.Context, key, value string) error {
	_, _, err := n.Put(ctx, []byte(key), kv.Put{Value: []byte(value)})
	return err
}

func (n *Node) get(ctx context.Context, key string) (value string, err error) {
	item, _, err := n.Get(ctx, []byte(key))
	return string(item.Value), err
}

// expect requires a value at every node.
func expect(t *testing.T, key, want string, nodes ...*Node) {
	t.Helper()
	for _, n := range nodes {
		if got, err := n.get(deadline(t), key); err != nil || got != want {
			t.Errorf("%s: key %s has %q, %v; want %q", n.ID(), key, got, err, want)
		}
	}
}
