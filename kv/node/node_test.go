package node

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"dyschord/dht"
	"dyschord/kv"
)

func TestAValuePutAtOneNodeIsReadAtAll(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		nodes := cluster(t, cfg, 5)
		settled(t, nodes...)
		for i, n := range nodes {
			key := fmt.Sprint("key ", i)
			if err := n.put(deadline(t), key, "value of "+key); err != nil {
				t.Fatal(err)
			}
			expect(t, key, "value of "+key, nodes...)
		}
	})
}

func TestLeaveHandsOver(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		nodes := cluster(t, cfg, 4)
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
	})
}

func TestNodesFindEachOther(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		agree(t, cluster(t, cfg, 5))
	})
}

func TestANodeAloneIsReady(t *testing.T) {
	ready(t, start(t, Config{}))
}

func TestANodeThatLostItsOnlyNeighbourIsNotReady(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		nodes := cluster(t, cfg, 2)
		settled(t, nodes...)
		nodes[1].Close()
		eventually(t, "the survivor is not ready", func() bool {
			return strings.Contains(fmt.Sprint(nodes[0].Checks(t.Context())), "no other member answers")
		})
	})
}

func TestARestartedNodeComesBackThroughTheMembersItKnew(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		cfg.DataDir = t.TempDir()
		nodes := cluster(t, cfg, 3)
		agree(t, nodes)
		eventually(t, "contacts are on disk", func() bool {
			records, member, err := nodes[1].dir.peers()
			return member && err == nil && len(records) > 0
		})
		peer := nodes[1].PeerID()
		nodes[1].Close()
		cfg.DataDir = nodes[1].cfg.DataDir // and no bootstrap
		nodes[1] = start(t, cfg)
		ready(t, nodes[1])
		if nodes[1].PeerID() != peer {
			t.Errorf("the node came back as %s, not %s", nodes[1].PeerID(), peer)
		}
		agree(t, nodes)
	})
}

func TestAllNodesRestartAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		cfg.DataDir = t.TempDir()
		nodes := cluster(t, cfg, 5)
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
	})
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

func ended(n *Node) bool {
	select {
	case <-n.Done():
		return true
	default:
		return false
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
