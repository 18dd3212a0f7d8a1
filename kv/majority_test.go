package kv

import (
	"context"
	"errors"
	"testing"
	"time"

	"dyschord/net/simnet"
)

// The primary can be asked by its own clients and by nobody else. The others go on
// without it; it must not answer from what it has.
func TestACutOffPrimaryDoesNotAnswer(t *testing.T) {
	c := grow(t, 206, 5)
	if _, err := c.members[0].put("a", "old"); err != nil {
		t.Fatal(err)
	}
	at := c.slotWith("a")
	primary := at.members[0]
	c.net.Partition([]*simnet.Node{primary.sim})
	c.until(t, 30*time.Second, func() bool { return c.newestOf(at.id).Epoch > at.epoch })
	c.net.RunFor(time.Second)
	if _, err := at.members[1].put("a", "new"); err != nil {
		t.Fatal(err)
	}
	if got, err := primary.get("a"); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("get at the primary that was cut off: %q, %v", got, err)
	}
	if _, err := primary.put("a", "lost"); !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrUnknown) {
		t.Fatalf("put at the primary that was cut off: %v", err)
	}
	c.net.Heal()
	c.settle(time.Minute)
	if got, err := primary.get("a"); err != nil || got != "new" {
		t.Fatalf("get after the return: %q, %v", got, err)
	}
}

func TestAPendingWriteIsNotRead(t *testing.T) {
	slow := false
	c := grow(t, 207, 3, func(c *cluster, s *simnet.Config) {
		s.Disk = func(*simnet.Node) time.Duration {
			if slow {
				return time.Second
			}
			return time.Millisecond
		}
	})
	if _, err := c.members[0].put("a", "committed"); err != nil {
		t.Fatal(err)
	}
	c.net.RunFor(time.Second)
	primary := c.slotWith("a").members[0]
	slow = true
	done := false
	primary.sim.Do("put", func(ctx context.Context) {
		_, _, err := primary.kv.Put(ctx, []byte("a"), Put{Value: []byte("pending")})
		done = err == nil
	})
	c.net.RunFor(10 * time.Millisecond)
	slow = false
	got, err := primary.get("a")
	if done || err != nil || got != "committed" {
		t.Fatalf("get during the write: %q, %v; the write has ended: %v", got, err, done)
	}
	c.until(t, 10*time.Second, func() bool { return done })
	if got, err := primary.get("a"); err != nil || got != "pending" {
		t.Fatalf("get after the write: %q, %v", got, err)
	}
}

// A node that knows nothing and reaches nobody says so. It does not say that the
// key is missing.
func TestIgnoranceIsNotMissing(t *testing.T) {
	c := grow(t, 208, 3)
	if _, err := c.members[0].put("a", "1"); err != nil {
		t.Fatal(err)
	}
	fresh := c.add()
	c.net.Partition([]*simnet.Node{fresh.sim})
	c.until(t, 5*time.Second, func() bool { return fresh.joined })
	if _, err := fresh.get("a"); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNotFound) {
		t.Fatalf("get at a node that knows nothing: %v", err)
	}
	for _, m := range c.members[:3] {
		m.crash()
		m.restart()
	}
	for _, m := range c.members[:3] { // no primary serves yet
		if got, err := m.get("a"); errors.Is(err, ErrNotFound) || err == nil && got != "1" {
			t.Fatalf("get at %s right after all restarted: %q, %v", m.sim, got, err)
		}
	}
}

// Two of three members have lost touch: nothing may be committed.
func TestOneOfThreeIsNoMajority(t *testing.T) {
	c := grow(t, 209, 3)
	at := c.slotWith("a")
	primary := at.members[0]
	c.net.Partition([]*simnet.Node{primary.sim})
	if w, err := primary.put("a", "1"); err == nil {
		t.Fatalf("a write was acknowledged by one of three: %+v", w)
	}
	c.net.RunFor(5 * time.Second)
	if w, err := primary.put("a", "2"); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnknown) {
		t.Fatalf("a write after the loss was noticed: %+v, %v", w, err)
	}
}

func TestTwoNodesTolerateNoLossAndSaySo(t *testing.T) {
	onEach(t, func(t *testing.T, overlay option) {
		c := grow(t, 6, 2, overlay)
		if _, err := c.members[0].put("a", "1"); err != nil {
			t.Fatal(err)
		}
		c.members[1].crash()
		c.net.RunFor(10 * time.Second)
		if _, err := c.members[0].put("a", "2"); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnknown) {
			t.Fatalf("put without the second node: %v", err)
		}
		if _, err := c.members[0].get("a"); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("get without the second node: %v", err)
		}
		c.members[1].restart()
		c.settle(30 * time.Second)
		for _, m := range c.members {
			if got, err := m.get("a"); err != nil || got != "1" {
				t.Fatalf("get at %s: %q, %v", m.sim, got, err)
			}
		}
		if w, err := c.members[0].put("a", "2"); err != nil || w.Replicas != 2 {
			t.Fatalf("put after the return: %+v, %v", w, err)
		}
	})
}
