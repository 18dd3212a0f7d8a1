package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"dyschord/chord"
	"dyschord/dht"
	"dyschord/dht/overlays"
	"dyschord/kv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// brisk is the configuration of a test's nodes: upkeep without long waits.
func brisk() Config {
	return Config{
		Slots: 16, Heartbeat: 100 * time.Millisecond,
		Overlay: overlays.Config{Chord: chord.Config{Stabilize: 100 * time.Millisecond}},
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

// cluster starts n nodes that join through the first and waits until all are ready.
// dir is where they keep their data, empty for memory.
func cluster(t *testing.T, n int, dir string) []*Node {
	t.Helper()
	var nodes []*Node
	for i := range n {
		cfg := brisk()
		if dir != "" {
			cfg.DataDir = filepath.Join(dir, fmt.Sprint(i))
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

func TestAValuePutAtOneNodeIsReadAtAll(t *testing.T) {
	nodes := cluster(t, 5, "")
	settled(t, nodes...)
	for i, n := range nodes {
		key := fmt.Sprint("key ", i)
		if err := n.put(deadline(t), key, "value of "+key); err != nil {
			t.Fatal(err)
		}
		expect(t, key, "value of "+key, nodes...)
	}
}

func TestLeaveHandsOver(t *testing.T) {
	nodes := cluster(t, 4, "")
	settled(t, nodes...)
	if err := nodes[0].put(deadline(t), "key", "value"); err != nil {
		t.Fatal(err)
	}
	for len(nodes) > 1 {
		leaver := nodes[0]
		nodes = nodes[1:]
		if err := leaver.Leave(deadline(t)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the node ends by itself", func() bool { return ended(leaver) })
		if leaver.Err() != nil {
			t.Errorf("the node ended with %v", leaver.Err())
		}
		settled(t, nodes...)
		expect(t, "key", "value", nodes...)
	}
	if err := nodes[0].Leave(deadline(t)); !errors.Is(err, kv.ErrLastNode) {
		t.Errorf("the last node left: %v", err)
	}
	expect(t, "key", "value", nodes...)
}

func TestNodesFindEachOther(t *testing.T) {
	agree(t, cluster(t, 5, ""))
}

func TestANodeAloneIsReady(t *testing.T) {
	ready(t, start(t, Config{}))
}

func TestANodeThatLostItsOnlyNeighbourIsNotReady(t *testing.T) {
	nodes := cluster(t, 2, "")
	settled(t, nodes...)
	nodes[1].Close()
	eventually(t, "the survivor is not ready", func() bool {
		return strings.Contains(fmt.Sprint(nodes[0].Checks(t.Context())), "no other member answers")
	})
}

func TestARestartedNodeComesBackThroughTheMembersItKnew(t *testing.T) {
	dir := t.TempDir()
	nodes := cluster(t, 3, dir)
	agree(t, nodes)
	eventually(t, "contacts are on disk", func() bool {
		records, member, err := nodes[1].dir.peers()
		return member && err == nil && len(records) > 0
	})
	peer := nodes[1].PeerID()
	nodes[1].Close()
	cfg := brisk()
	cfg.DataDir = nodes[1].cfg.DataDir // and no bootstrap
	nodes[1] = start(t, cfg)
	ready(t, nodes[1])
	if nodes[1].PeerID() != peer {
		t.Errorf("the node came back as %s, not %s", nodes[1].PeerID(), peer)
	}
	agree(t, nodes)
}

func TestAllNodesRestartAtOnce(t *testing.T) {
	dir := t.TempDir()
	nodes := cluster(t, 5, dir)
	agree(t, nodes)
	settled(t, nodes...)
	if err := nodes[3].put(deadline(t), "key", "value"); err != nil {
		t.Fatal(err)
	}
	addrs := nodes[0].Addrs()
	for _, n := range nodes {
		eventually(t, "contacts are on disk", func() bool { _, member, _ := n.dir.peers(); return member })
	}
	var closing sync.WaitGroup
	for _, n := range nodes {
		closing.Go(func() { n.Close() })
	}
	closing.Wait()
	for i, n := range nodes {
		cfg := n.cfg
		if i == 0 { // where the others look for it; they themselves have moved
			cfg.Listen = []string{strings.Split(addrs[0], "/p2p/")[0]}
		}
		nodes[i] = start(t, cfg)
	}
	ready(t, nodes...)
	agree(t, nodes)
	settled(t, nodes...)
	expect(t, "key", "value", nodes...)
}

// A node that has part of a cluster's data and forgot who has the rest must not take
// itself for all of it.
func TestPartOfAClusterIsNotTakenForAll(t *testing.T) {
	here, opposite := dht.NewID(0, 0x00), dht.NewID(0, 0x80) // each holds half
	one := brisk()
	one.Replicas, one.Space, one.ID = 1, dht.Space{Bits: 8}, &here
	first := start(t, one)
	two := one
	two.ID, two.DataDir, two.Bootstrap = &opposite, t.TempDir(), first.Addrs()
	second := start(t, two)
	settled(t, first, second)
	held := func() (k int) {
		second.inside(t.Context(), func(context.Context) error {
			for _, s := range second.kv.Slots() {
				if s.Role == "primary" {
					k++
				}
			}
			return nil
		})
		return k
	}
	eventually(t, "the second node holds some slots", func() bool { return held() > 0 })
	second.Close()
	if err := os.Remove(filepath.Join(two.DataDir, peersFile)); err != nil {
		t.Fatal(err)
	}
	two.Bootstrap = nil
	again := start(t, two)
	eventually(t, "the node ends", func() bool { return ended(again) })
	if err := again.Err(); err == nil || !strings.Contains(err.Error(), "of 16 slots and knows no other member") {
		t.Errorf("the node ended with %v", err)
	}
}

// nobody is a multiaddr where nothing listens.
func nobody(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", l.Addr().(*net.TCPAddr).Port)
}

func TestANodeThatReachesNobodyIsAliveAndSaysWhy(t *testing.T) {
	cfg := brisk()
	cfg.Bootstrap = []string{nobody(t), nobody(t)}
	n := start(t, cfg)
	eventually(t, "the node says whom it cannot reach", func() bool {
		why := fmt.Sprint(n.Checks(t.Context()))
		return strings.Contains(why, cfg.Bootstrap[0]) && strings.Contains(why, cfg.Bootstrap[1]) && strings.Contains(why, "refused")
	})
	if state, _ := n.now.get(); state != Joining {
		t.Errorf("state %s", state)
	}
	if _, _, err := n.Get(t.Context(), []byte("key")); !errors.Is(err, kv.ErrUnavailable) || !strings.Contains(err.Error(), cfg.Bootstrap[0]) {
		t.Errorf("an operation before joining: %v", err)
	}
	if _, sure := n.overlay.Near(dht.ID{}, 1); sure {
		t.Error("the node has founded an overlay")
	}
}

func TestANodeJoinsWhenItsBootstrapPeerComesUp(t *testing.T) {
	cfg := brisk()
	cfg.Bootstrap = []string{nobody(t)}
	early := start(t, cfg)
	eventually(t, "it has tried", func() bool { _, why := early.now.get(); return why != "" })
	late := brisk()
	late.Listen = cfg.Bootstrap
	agree(t, []*Node{start(t, late), early})
	ready(t, early)
}

func TestANodeOfOtherSettingsIsRefusedWithBothValues(t *testing.T) {
	first := cluster(t, 1, "")[0]
	for want, change := range map[string]func(*Config){
		"cluster: other here, dyschord there": func(c *Config) { c.Cluster = "other" },
		"bits: 64 here, 128 there":            func(c *Config) { c.Space.Bits = 64 },
		"hash: trivial here, sha256 there":    func(c *Config) { c.Space.Hash = dht.Trivial },
		"slots: 32 here, 16 there":            func(c *Config) { c.Slots = 32 },
	} {
		cfg := brisk()
		cfg.Bootstrap = first.Addrs()
		change(&cfg)
		n := start(t, cfg)
		eventually(t, "the node ends", func() bool { return ended(n) })
		var refused *Refused
		if !errors.As(n.Err(), &refused) || !strings.Contains(n.Err().Error(), want) {
			t.Errorf("the node ended with %v, want %q", n.Err(), want)
		}
	}
	ready(t, first)
}

func ended(n *Node) bool {
	select {
	case <-n.Done():
		return true
	default:
		return false
	}
}

// The node that is asked need not be the one that has the identifier.
func TestAnIdentifierTakenTwiceIsRefused(t *testing.T) {
	at := func(id uint64) Config {
		cfg := brisk()
		place := dht.NewID(0, id)
		cfg.Space, cfg.ID = dht.Space{Bits: 4, Hash: dht.Trivial}, &place
		return cfg
	}
	first := start(t, at(3))
	ready(t, first)
	second := at(9)
	second.Bootstrap = first.Addrs()
	nodes := []*Node{first, start(t, second)}
	ready(t, nodes...)
	agree(t, nodes)
	for _, via := range nodes {
		cfg := at(3)
		cfg.Bootstrap = via.Addrs()
		n := start(t, cfg)
		eventually(t, "the node ends", func() bool { return ended(n) })
		if err := n.Err(); err == nil || !errors.Is(err, dht.ErrTaken) || !strings.Contains(err.Error(), "identifier 3 is taken") {
			t.Errorf("via %s: the node ended with %v", via.ID(), err)
		}
	}
	agree(t, nodes)
}

func TestWhatCannotStartSaysWhy(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	for want, change := range map[string]func(*Config){
		fmt.Sprintf("gateway address 127.0.0.1:%d", port): func(c *Config) { c.Gateway = taken.Addr().String() },
		fmt.Sprintf("admin address 127.0.0.1:%d", port):   func(c *Config) { c.Admin = taken.Addr().String() },
		fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port):        func(c *Config) { c.Listen = []string{fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port)} },
		"0.0.0.0:1 needs Tokens or Insecure":              func(c *Config) { c.Gateway = "0.0.0.0:1" },
		"/ip4/0.0.0.0/tcp/1 needs Insecure":               func(c *Config) { c.Listen = []string{"/ip4/0.0.0.0/tcp/1"} },
		`unknown algorithm "none"`:                        func(c *Config) { c.Algorithm = "none" },
		"chord.successors":                                func(c *Config) { c.Overlay.Chord.Successors = 99 },
	} {
		cfg := brisk()
		cfg.DataDir = t.TempDir()
		change(&cfg)
		if n, err := Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
			if n != nil {
				n.Close()
			}
		}
		if d, err := openDirectory(cfg.DataDir, cfg.withDefaults().badge(), testKey); err != nil {
			t.Errorf("%s: the data directory was not released: %v", want, err)
		} else {
			d.close()
		}
	}
}

func TestAnOccupiedAddressLeavesNothingOnTheDisk(t *testing.T) {
	taken, err := Bind("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg := brisk()
	cfg.DataDir = filepath.Join(t.TempDir(), "data")
	cfg.Admin = taken.Addr().String()
	var address *AddressError
	if _, err := Start(t.Context(), cfg); !errors.As(err, &address) || address.What != "admin" || address.Address != cfg.Admin {
		t.Errorf("started with %v", err)
	}
	if _, err := os.Stat(cfg.DataDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the data directory was made: %v", err)
	}
}

func TestABoundListenerBelongsToTheNode(t *testing.T) {
	bound := func() net.Listener {
		l, err := Bind("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	cfg := brisk()
	cfg.Bound = bound()
	n := start(t, cfg)
	if want := "http://" + cfg.Bound.Addr().String(); n.GatewayURL() != want {
		t.Errorf("the gateway is at %q, not %s", n.GatewayURL(), want)
	}
	for name, change := range map[string]func(*Config){
		"valid settings that cannot work": func(c *Config) { c.Algorithm = "none" },
		"settings that are refused":       func(c *Config) { c.Listen = []string{"/ip4/0.0.0.0/tcp/1"} },
	} {
		cfg := brisk()
		cfg.Bound = bound()
		change(&cfg)
		if _, err := Start(t.Context(), cfg); err == nil {
			t.Fatalf("%s: started", name)
		}
		if _, err := cfg.Bound.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: the listener is open: %v", name, err)
		}
	}
}

func TestCloseInTheMiddleOfJoining(t *testing.T) {
	cfg := brisk()
	cfg.Bootstrap = []string{nobody(t)}
	n := start(t, cfg)
	if err := n.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := n.Close(); err != nil || !ended(n) {
		t.Errorf("close again: %v", err)
	}
}
