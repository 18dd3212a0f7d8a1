package kv

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// Clocks jump by an hour, back and forth, and a node dies: the others notice and
// repair as if nothing had happened.
func TestClocksThatJumpHoldNothingUp(t *testing.T) {
	c := grow(t, 213, 5)
	for i, m := range c.members {
		m.sim.SetClock(time.Duration(1-2*(i%2))*time.Hour, 0)
	}
	c.members[1].crash()
	c.net.RunFor(5 * time.Second)
	for i, m := range c.members {
		m.sim.SetClock(time.Duration(2*(i%2)-1)*time.Hour, 0)
	}
	c.settle(10 * time.Second)
	c.members[2].crash()
	c.net.RunFor(time.Second)
	for _, m := range c.members {
		m.sim.SetClock(-3*time.Hour, 0)
	}
	c.settle(15 * time.Second)
}

func TestOneNodeStoresAndForgets(t *testing.T) {
	c := grow(t, 1, 1)
	m := c.members[0]
	if _, err := m.get("a"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("get of a missing key: %v", err)
	}
	w, err := m.put("a", "1")
	if err != nil || w.Existed || w.Version != 1 || w.Acks != 1 || w.Replicas != 1 {
		t.Fatalf("put: %+v, %v", w, err)
	}
	if w, err = m.put("a", "2"); err != nil || !w.Existed || w.Version != 2 {
		t.Fatalf("second put: %+v, %v", w, err)
	}
	if v, err := m.get("a"); err != nil || v != "2" {
		t.Fatalf("get: %q, %v", v, err)
	}
	if w, err = m.remove("a"); err != nil || !w.Existed {
		t.Fatalf("delete: %+v, %v", w, err)
	}
	if _, err := m.get("a"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("get of a deleted key: %v", err)
	}
	if w, err = m.remove("a"); err != nil || w.Existed {
		t.Fatalf("delete of a missing key: %+v, %v", w, err)
	}
}

func TestEveryNodeServesEveryKey(t *testing.T) {
	onEach(t, func(t *testing.T, overlay option) {
		c := grow(t, 2, 5, overlay)
		for i := range 50 {
			key, value := fmt.Sprint("key", i), fmt.Sprint("value", i)
			w, err := c.members[i%5].put(key, value)
			if err != nil || w.Replicas != 3 || w.Acks < 2 {
				t.Fatalf("put %s: %+v, %v", key, w, err)
			}
			for _, m := range c.members {
				if got, err := m.get(key); err != nil || got != value {
					t.Fatalf("get %s at %s: %q, %v", key, m.sim, got, err)
				}
			}
		}
	})
}

func TestACrashMovesItsSlotsAndLosesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, overlay option) {
		c := grow(t, 3, 5, overlay)
		for i := range 100 {
			if _, err := c.members[i%5].put(fmt.Sprint("key", i), fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		for _, victim := range []int{2, 0} {
			c.members[victim].crash()
			crashed := c.net.Now()
			c.settle(20 * time.Second)
			t.Logf("repaired %s after the crash", c.net.Now()-crashed)
			for i := range 100 {
				for _, m := range c.live() {
					if got, err := m.get(fmt.Sprint("key", i)); err != nil || got != fmt.Sprint(i) {
						t.Fatalf("get %d at %s: %q, %v", i, m.sim, got, err)
					}
				}
			}
		}
	})
}

// Where data is, the algorithm's definition of ownership says, whatever the order in
// which nodes came and went.
func TestSlotsMoveToWhoTheOverlayNames(t *testing.T) {
	for _, algorithm := range algorithms(t) {
		t.Run(algorithm, func(t *testing.T) { comeAndGo(t, on(t, algorithm)) })
		t.Run(algorithm+", where nobody knows all", func(t *testing.T) { comeAndGo(t, configured(t, algorithm, narrow(3))) })
	}
}

func comeAndGo(t *testing.T, overlay option) {
	c := grow(t, 8, 3, overlay, withConfig(Config{Slots: 64}))
	grow := func(n int) func() {
		return func() {
			for range n {
				c.add()
			}
		}
	}
	for _, change := range []func(){
		func() { // nobody can replace it; others are primary meanwhile
			c.members[0].crash()
			c.net.RunFor(20 * time.Second)
			c.members[0].restart()
		},
		grow(5),
		grow(8),
		c.members[0].crash,
		func() { c.members[5].crash() },
		c.members[0].restart,
	} {
		change()
		changed := c.net.Now()
		c.until(t, 2*time.Minute, c.every(100*time.Millisecond, func() bool { return len(c.live()) == len(c.running()) && c.placed() }))
		t.Logf("all slots are in place %s after the change", c.net.Now()-changed)
		c.settle(time.Minute)
	}
}

func TestAllRestartTogether(t *testing.T) {
	onEach(t, func(t *testing.T, overlay option) {
		c := grow(t, 4, 5, overlay)
		for i := range 100 {
			if _, err := c.members[i%5].put(fmt.Sprint("key", i), fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		for _, m := range c.members {
			m.crash()
		}
		c.net.RunFor(time.Minute)
		for _, m := range c.members {
			m.restart()
		}
		c.settle(time.Minute)
		for i := range 100 {
			if got, err := c.members[(i+1)%5].get(fmt.Sprint("key", i)); err != nil || got != fmt.Sprint(i) {
				t.Fatalf("get %d: %q, %v", i, got, err)
			}
		}
	})
}

func TestManySlotsMoveInSeconds(t *testing.T) {
	onEach(t, func(t *testing.T, overlay option) {
		c := newCluster(t, 7, overlay, withConfig(Config{Slots: 256}))
		for range 5 {
			c.add()
		}
		c.settle(time.Minute)
		t.Logf("five nodes converged %s after the start", c.net.Now())
		c.members[1].crash()
		crashed := c.net.Now()
		c.settle(30 * time.Second)
		t.Logf("repaired %s after the crash", c.net.Now()-crashed)
		before, now := c.net.Stats(), c.net.Now()
		c.net.RunFor(time.Minute)
		idle := float64(c.net.Stats().Requests-before.Requests) / (c.net.Now() - now).Seconds() / 4
		t.Logf("idle: %.1f requests per node and second", idle)
		if idle > 30 {
			t.Errorf("an idle node sends %.1f requests a second", idle)
		}
	})
}
