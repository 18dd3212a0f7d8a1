package kv

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

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
	c := grow(t, 2, 5)
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
}

func TestACrashMovesItsSlotsAndLosesNothing(t *testing.T) {
	c := grow(t, 3, 5)
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
}

func TestAllRestartTogether(t *testing.T) {
	c := grow(t, 4, 5)
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
}

func TestLeaveHandsEverythingOver(t *testing.T) {
	c := grow(t, 5, 4, withChord(t))
	for i := range 60 {
		if _, err := c.members[i%4].put(fmt.Sprint("key", i), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	for k := range 3 {
		m := c.members[k]
		var err error
		m.await(func(ctx context.Context) { err = m.kv.Leave(ctx) })
		if err != nil {
			t.Fatalf("leave of %s: %v\n%s", m.sim, err, c.describe())
		}
		m.gone = true
		m.crash() // what it had is safe elsewhere
		for i := range 60 {
			if got, err := c.members[3].get(fmt.Sprint("key", i)); err != nil || got != fmt.Sprint(i) {
				t.Fatalf("get %d after %d left: %q, %v", i, k+1, got, err)
			}
		}
		c.settle(30 * time.Second)
	}
	last := c.members[3]
	var err error
	last.await(func(ctx context.Context) { err = last.kv.Leave(ctx) })
	if !errors.Is(err, ErrLastNode) {
		t.Fatalf("the last node left: %v", err)
	}
	if got, err := last.get("key1"); err != nil || got != "1" {
		t.Fatalf("get at the last node: %q, %v", got, err)
	}
}

func TestTwoNodesTolerateNoLossAndSaySo(t *testing.T) {
	c := grow(t, 6, 2, withChord(t))
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
}

func TestManySlotsMoveInSeconds(t *testing.T) {
	c := newCluster(t, 7, withChord(t), withConfig(Config{Slots: 256}))
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
}
