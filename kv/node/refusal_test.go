package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dyschord/dht"
	"dyschord/kv"
)

// A node that has part of a cluster's data and forgot who has the rest must not take
// itself for all of it.
func TestPartOfAClusterIsNotTakenForAll(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		here, opposite := dht.NewID(0, 0x00), dht.NewID(0, 0x80) // each holds half
		one := cfg
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
	})
}

func TestANodeOfOtherSettingsIsRefusedWithBothValues(t *testing.T) {
	there := brisk()
	there.Algorithm = "koorde"
	first := cluster(t, there, 1)[0]
	for want, change := range map[string]func(*Config){
		"cluster: other here, dyschord there":       func(c *Config) { c.Cluster = "other" },
		"bits: 64 here, 128 there":                  func(c *Config) { c.Space.Bits = 64 },
		"hash: trivial here, sha256 there":          func(c *Config) { c.Space.Hash = dht.Trivial },
		"slots: 32 here, 16 there":                  func(c *Config) { c.Slots = 32 },
		"algorithm: kademlia here, koorde there":    func(c *Config) { c.Algorithm = "kademlia" },
		"algorithm: chord here, koorde there":       func(c *Config) { c.Algorithm = "" },
		"by /ip4/127.0.0.1/tcp":                     func(c *Config) { c.Algorithm = "chord" },
		"koorde.degree: 2 here, 16 there":           func(c *Config) { c.Overlay.Koorde.Degree = 2 },
		"koorde.degree: none here, 16 there":        func(c *Config) { c.Algorithm = "kademlia" },
		"cluster: c here, dyschord there; bits: 64": func(c *Config) { c.Cluster, c.Space.Bits = "c", 64 },
	} {
		cfg := there
		cfg.Bootstrap = first.Addrs()
		change(&cfg)
		n := start(t, cfg)
		eventually(t, "the node ends, or becomes a member", func() bool {
			state, _ := n.now.get()
			return state == Ready || ended(n)
		})
		if !ended(n) {
			t.Errorf("the node is a member, want %q", want)
			continue
		}
		var refused *Refused
		if !errors.As(n.Err(), &refused) || !strings.Contains(n.Err().Error(), want) {
			t.Errorf("the node ended with %v, want %q", n.Err(), want)
		}
	}
	ready(t, first)
}

// The node that is asked need not be the one that has the identifier.
func TestAnIdentifierTakenTwiceIsRefused(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		at := func(id uint64) Config {
			cfg := cfg
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
	})
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

func TestANodeThatHasNotJoinedCannotLeave(t *testing.T) {
	cfg := brisk()
	cfg.Admin = "127.0.0.1:0"
	cfg.Bootstrap = []string{"/ip4/127.0.0.1/tcp/1"} // nobody is there
	n := start(t, cfg)
	text := fetch(t, plain, "POST", n.AdminURL()+"/v1/node/leave", "", 503)
	if !strings.Contains(text, `"code":"not_member"`) || !strings.Contains(text, `"retryable":true`) || strings.Contains(text, "outcome") {
		t.Errorf("refused with %s", text)
	}
}

// What the gateway refuses, it refuses on the listeners of a node as well.
func TestListenersOnLoopbackServeNoOtherNames(t *testing.T) {
	cfg := brisk()
	cfg.Gateway, cfg.Admin = "127.0.0.1:0", "127.0.0.1:0"
	n := start(t, cfg)
	ready(t, n)
	for _, url := range []string{n.GatewayURL(), n.AdminURL()} {
		r, err := http.NewRequestWithContext(deadline(t), http.MethodGet, url+"/v1/node", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "evil.example"
		resp, err := plain.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%s as evil.example: status %d", url, resp.StatusCode)
		}
	}
	fetch(t, plain, "POST", n.AdminURL()+"/v1/node/leave", "", 403, "Origin", "https://evil.example")
}

// What the limit allows is stored, and what is longer is refused for its length.
func TestTheLongestValueIsStored(t *testing.T) {
	const longest = 16 << 20
	cfg := brisk()
	cfg.MaxValue = longest
	nodes := served(t, cfg, 3)
	value := strings.Repeat("v", longest)
	key := strings.Repeat("k", kv.MaxKey)
	if err := nodes[0].put(deadline(t), key, value); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if got, err := n.get(deadline(t), key); err != nil || got != value {
			t.Errorf("%s: %d bytes, %v", n.ID(), len(got), err)
		}
	}
	if err := nodes[0].put(deadline(t), key, value+"v"); !errors.Is(err, kv.ErrTooLarge) {
		t.Errorf("one byte more: %v", err)
	}
	if _, err := Start(t.Context(), Config{MaxValue: longest + 1}); err == nil || !strings.Contains(err.Error(), "16777216 is allowed") {
		t.Errorf("a limit above the highest: %v", err)
	}
}
