package kv

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// Two nodes leave at about the same time, each in the plans of the other's slots.
func TestTwoNodesLeaveAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, overlay option) {
		for seed := range uint64(6) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				st := scenario(t, 131+seed, 5, overlay)
				left := 0
				leave := func(m *member) {
					kv := m.kv
					m.sim.Do("leave", func(ctx context.Context) {
						if err := kv.Leave(ctx); err != nil {
							t.Errorf("leave of %s: %v", m.sim, err)
						}
						left++
						st.net.After(0, func() {
							m.gone = true
							m.crash()
						})
					})
				}
				leave(st.members[1])
				st.net.RunFor(time.Duration(seed) * 400 * time.Millisecond)
				leave(st.members[3])
				st.until("that both have left", time.Minute, func() bool { return left == 2 })
				st.net.RunFor(5 * time.Second)
				st.end(50)
			})
		}
	})
}

// A node that left comes back under its old identity, and is given slots again.
func TestWhoLeftMayComeBack(t *testing.T) {
	onEach(t, func(t *testing.T, overlay option) {
		c := grow(t, 161, 4, overlay)
		m := c.members[1]
		var err error
		m.await(func(ctx context.Context) { err = m.kv.Leave(ctx) })
		if err != nil {
			t.Fatal(err)
		}
		m.gone = true
		m.crash()
		c.settle(time.Minute)
		m.gone = false
		m.restart()
		c.until(t, time.Minute, func() bool {
			slots := 0
			for id := range uint32(c.cfg.Slots) {
				if c.newestOf(id).has(m.sim.Peer()) {
					slots++
				}
			}
			return m.joined && slots >= c.cfg.Slots/4
		})
		c.settle(time.Minute)
	})
}

func TestLeaveHandsEverythingOver(t *testing.T) {
	onEach(t, func(t *testing.T, overlay option) {
		c := grow(t, 5, 4, overlay)
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
	})
}

// Two of three nodes are left on purpose: long afterwards, when they remember the third
// only as one of those they once knew, nothing is missing.
func TestWhoLeftIsNotMissed(t *testing.T) {
	onEach(t, func(t *testing.T, overlay option) {
		c := grow(t, 171, 3, overlay)
		m := c.members[1]
		var err error
		m.await(func(ctx context.Context) { err = errors.Join(m.kv.Leave(ctx), m.overlay.Leave(ctx)) })
		if err != nil {
			t.Fatal(err)
		}
		m.gone = true
		m.crash()
		for range 10 {
			c.net.RunFor(time.Minute)
			if s := c.members[0].survey(); s.UnderReplicated != 0 || !s.Complete || len(s.Members) != 2 {
				t.Errorf("%s: a survey finds %d slots short of copies, complete: %v, members %+v", c.net.Now(), s.UnderReplicated, s.Complete, s.Members)
			}
			for _, left := range c.live() {
				for _, s := range left.kv.Slots() {
					if s.Short {
						t.Errorf("%s: %s says that slot %d lacks copies", c.net.Now(), left.sim, s.Slot)
					}
				}
			}
		}
	})
}
