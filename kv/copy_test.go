package kv

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/net/simnet"
)

// A copy that was made for a proposal which came to nothing does not stay for ever,
// and does not keep its holder from leaving.
func TestAnUnusedCopyIsDropped(t *testing.T) {
	for _, leaves := range []bool{false, true} {
		c := grow(t, 141, 5)
		if _, err := c.members[0].put("a", "1"); err != nil {
			t.Fatal(err)
		}
		at := c.slotWith("a")
		m := at.outside
		base, source := c.newestOf(at.id), at.members[0].kv.self()
		reply := ask1[*staged](m, func(r dht.Reply) {
			m.kv.onStage(&stage{Slot: at.id, Base: *base, Need: 1, Sources: []dht.Peer{source}}, r)
		})
		s := m.kv.slots[at.id]
		if reply == nil || !reply.OK || !s.holds(at.epoch, 1) {
			t.Fatalf("staging: %+v", reply)
		}
		if leaves {
			var err error
			m.await(func(ctx context.Context) { err = m.kv.Leave(ctx) })
			if err != nil {
				t.Fatalf("leave: %v", err)
			}
		} else {
			c.net.RunFor(2 * time.Minute)
		}
		if _, end, _ := m.disk.Last(at.id); s.Tag != 0 || end != 0 {
			t.Errorf("leaves=%v: the copy is still there: epoch %d, up to %d", leaves, s.Tag, end)
		}
	}
}

func TestDataStaysUntilTheNextMembersHaveIt(t *testing.T) {
	c := grow(t, 204, 5)
	if _, err := c.members[0].put("a", "1"); err != nil {
		t.Fatal(err)
	}
	at := c.slotWith("a")
	m := at.members[1]
	s := m.kv.slots[at.id]
	next := configuration{
		Epoch:   at.epoch + 1,
		Members: []dht.Peer{at.outside.kv.self(), at.members[0].kv.self(), at.members[2].kv.self()},
		Cut:     s.last,
	}
	m.await(func(context.Context) { m.kv.learn(at.id, &next) }) // nobody has installed it yet
	cut := true
	c.net.SetLink(func(_, to *simnet.Node) bool { return !cut || to == m.sim })
	c.net.RunFor(20 * time.Second)
	if s.last == 0 || s.Tag == 0 {
		t.Fatal("the data was dropped though nobody else is known to have it in force")
	}
}

// A copy of many pages is interrupted by a power cut: what was there before it is
// what remains.
func TestHalfACopyIsNoCopy(t *testing.T) {
	c := grow(t, 205, 3, withConfig(Config{Slots: 16, MaxValue: 8 << 10}))
	value := string(bytes.Repeat([]byte("x"), 6<<10))
	at := c.slotWith("k0")
	for i := 0; len(at.members) == 3 && i < 800; i++ {
		key := fmt.Sprint("k", i)
		if c.slotWith(key).id != at.id {
			continue
		}
		if _, err := c.members[0].put(key, value); err != nil {
			t.Fatal(err)
		}
	}
	outside := c.add()
	c.until(t, 5*time.Second, func() bool { return outside.joined })
	source := at.members[0]
	last := source.kv.slots[at.id].last
	if last < 20 {
		t.Fatalf("only %d records", last)
	}
	outside.sim.Do("stage", func(ctx context.Context) {
		base := c.newestOf(at.id)
		_ = outside.kv.stageHere(ctx, at.id, base, last, []dht.Peer{source.kv.self()}) // it is cut short
	})
	c.until(t, 5*time.Second, func() bool { s := outside.kv.slots[at.id]; return s != nil && s.Dirty })
	c.until(t, 5*time.Second, func() bool {
		_, end, _ := outside.disk.Last(at.id)
		return end > last/2
	})
	outside.sim.Crash()
	outside.disk = outside.disk.Crash(nil)
	outside.restart()
	s := outside.kv.slots[at.id]
	if s == nil || s.holds(at.epoch, 1) || s.last != 0 {
		t.Fatalf("half a copy counts: %+v", s)
	}
	if _, end, _ := outside.disk.Last(at.id); end == 0 {
		t.Fatal("nothing of the copy was on the disk: the test proves nothing")
	}
	outside.await(func(ctx context.Context) {
		if err := outside.kv.stageHere(ctx, at.id, c.newestOf(at.id), last, []dht.Peer{source.kv.self()}); err != nil {
			t.Errorf("second attempt: %v", err)
		}
	})
	if !s.holds(at.epoch, last) && s.Cfg.Epoch <= at.epoch {
		t.Fatalf("the second attempt did not end: %+v", s)
	}
}
