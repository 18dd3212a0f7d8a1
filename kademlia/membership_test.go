package kademlia

import (
	"context"
	"errors"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/dht/dhttest"
	"dyschord/net/simnet"
)

func newCluster(t *testing.T, world simnet.Config, cfg Config) *dhttest.Cluster {
	t.Helper()
	cfg.Space = world.Space
	factory, err := Factory(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return dhttest.NewCluster(t, world, factory, dht.Closest)
}

// A target that the space does not hold is refused, as are all malformed messages.
func TestTargetOutsideTheSpaceIsRefused(t *testing.T) {
	c := newCluster(t, simnet.Config{Seed: 1, Space: dht.Space{Bits: 64}}, Config{})
	c.Grow(3)
	m := c.Members[1]
	m.Await("ask", time.Minute, func(ctx context.Context) {
		_, err := dht.Call(ctx, m.Env(), c.Members[0].Peer(), &near{Target: dht.NewID(1, 0), N: 3})
		if !errors.Is(err, dht.ErrMalformed) {
			t.Errorf("an identifier of 65 bits in a space of 64: %v", err)
		}
	})
}

// A newcomer is sure of nothing that the others have not confirmed: whenever it says
// that it is, in the second in which it fills its tables, it is right.
func TestNewcomerIsNotSureTooSoon(t *testing.T) {
	c := newCluster(t, simnet.Config{Seed: 1}, Config{})
	c.Prefill(200)
	m := c.Add(c.Members[0])
	sure := 0
	c.Run(10*time.Second, func() bool {
		if !m.Joined {
			m.Joined = m.Overlay != nil && m.Overlay.(*Node).member // the oracle counts it from here
		}
		for i := range 20 {
			key := dht.Space{}.KeyID([]byte{byte(i)})
			if i == 0 {
				key = m.Peer().ID
			}
			peers, ok := m.Overlay.Near(key, 3)
			if !ok {
				continue
			}
			sure++
			for j, want := range c.Owners(key, 3) {
				if j >= len(peers) || peers[j] != want {
					t.Fatalf("at %v it is sure that %v own %s, not %v", c.Net.Now(), peers, key, c.Owners(key, 3))
				}
			}
		}
		return false
	})
	if sure == 0 {
		t.Error("it was never sure of anything")
	}
}

// When all nodes start at once, nobody is a member whom the others could join through,
// and each founds an overlay of its own. They find each other by the seeds that did not
// answer.
func TestFoundersFindTheirSeeds(t *testing.T) {
	c := newCluster(t, simnet.Config{Seed: 1}, Config{})
	for i := range 5 {
		c.PrefillID(uint64(100 * (i + 1)))
	}
	for i, m := range c.Members {
		m.Do("join", func(ctx context.Context) {
			if err := m.Overlay.Join(ctx, c.Members[(i+1)%5].Peer(), c.Members[(i+2)%5].Peer()); err == nil {
				t.Error("joined through somebody who is no member")
			}
		})
	}
	c.Net.RunFor(10 * time.Second)
	for _, m := range c.Members {
		m.Do("found", func(ctx context.Context) {
			if err := m.Overlay.Join(ctx); err != nil {
				t.Error(err)
			}
			m.Joined = true
		})
	}
	c.Converge(2 * time.Minute)
}

// Deaths go on during a partition: those behind it must not be forgotten for them.
func TestPartitionWithManyDeathsHeals(t *testing.T) {
	c := newCluster(t, simnet.Config{Seed: 5}, Config{})
	c.Prefill(60)
	var sides [2][]*dhttest.Member
	var nodes [2][]*simnet.Node
	for i, m := range c.Members {
		sides[i%2], nodes[i%2] = append(sides[i%2], m), append(nodes[i%2], m.Node)
	}
	c.Net.Partition(nodes[0], nodes[1])
	c.Run(time.Minute, nil)
	for range 50 {
		for i := range sides {
			m := c.Add(sides[i][0])
			sides[i], nodes[i] = append(sides[i], m), append(nodes[i], m.Node)
			c.Net.Partition(nodes[0], nodes[1])
			c.Run(5*time.Second, nil)
			c.Crash(sides[i][10]) // ten of the first stay
			sides[i] = append(sides[i][:10:10], sides[i][11:]...)
			c.Run(5*time.Second, nil)
		}
	}
	c.Net.Heal()
	c.Converge(5 * time.Minute)
}
