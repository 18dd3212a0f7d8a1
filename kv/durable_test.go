package kv

import (
	"context"
	"fmt"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/kv/store"
	"dyschord/net/simnet"
)

// The primary acknowledges a write that its members have on their disks and it has
// not, loses it in a power cut, and returns at once.
func TestARestartedPrimaryDoesNotServeItsOldEpoch(t *testing.T) {
	slow := uint32(0)
	c := grow(t, 81, 3, func(_ *cluster, s *simnet.Config) {
		s.Disk = func(nd *simnet.Node) time.Duration {
			if nd.Peer().Ref == slow {
				return 300 * time.Millisecond
			}
			return time.Millisecond
		}
	})
	key := []byte("a")
	id := c.cfg.slotOf(c.cfg.Space.KeyID(key))
	primary := c.member(c.newestOf(id).primary())
	if _, err := primary.put("a", "before"); err != nil {
		t.Fatal(err)
	}
	c.net.RunFor(2 * time.Second)
	slow = primary.sim.Peer().Ref
	w, err := primary.put("a", "after")
	if err != nil || primary.kv.slots[id].synced >= w.Version {
		t.Fatalf("put: %+v, %v; the primary's disk has version %d", w, err, primary.kv.slots[id].synced)
	}
	primary.sim.Crash()
	primary.disk = primary.disk.Crash(nil)
	slow = 0
	primary.restart()
	c.until(t, 5*time.Second, func() bool { return primary.joined })
	if got, err := primary.get("a"); err != nil || got != "after" {
		t.Fatalf("get after the restart: %q, %v", got, err)
	}
	if w2, err := primary.put("a", "again"); err != nil || w2.Version <= w.Version || !w2.Existed {
		t.Fatalf("put after the restart: %+v after %+v, %v", w2, w, err)
	}
	c.settle(20 * time.Second)
}

// All nodes lose power at the moment at which a client is told that its write is
// safe.
func TestAcknowledgedWritesSurviveAPowerCut(t *testing.T) {
	c := grow(t, 91, 3, func(_ *cluster, s *simnet.Config) {
		s.Disk = func(*simnet.Node) time.Duration { return 100 * time.Millisecond }
	})
	for i := range 8 {
		key := fmt.Sprint("key", i)
		if _, err := c.members[i%3].put(key, "safe"); err != nil {
			t.Fatal(err)
		}
		for _, m := range c.members {
			m.sim.Crash()
			m.disk = m.disk.Crash(nil)
		}
		for _, m := range c.members {
			m.restart()
		}
		c.settle(time.Minute)
		if got, err := c.members[0].get(key); err != nil || got != "safe" {
			t.Fatalf("%s after the power cut: %q, %v", key, got, err)
		}
	}
}

func TestPromisesSurviveARestart(t *testing.T) {
	c := grow(t, 201, 4)
	at := c.slotWith("a")
	m := at.members[1]
	value := configuration{Epoch: at.epoch + 1, Members: []dht.Peer{at.members[0].kv.self(), at.members[1].kv.self()}}
	if p := m.promise(at.id, at.epoch, 50); p == nil || !p.OK || p.Acc != nil {
		t.Fatalf("first promise: %+v", p)
	}
	m.crash()
	m.restart()
	if p := m.promise(at.id, at.epoch, 49); p == nil || p.OK {
		t.Fatalf("a lower ballot was promised after the restart: %+v", p)
	}
	if a := m.accept(at.id, 49, value); a == nil || a.OK {
		t.Fatalf("a lower ballot was accepted after the restart: %+v", a)
	}
	if a := m.accept(at.id, 50, value); a == nil || !a.OK {
		t.Fatalf("the promised ballot was not accepted: %+v", a)
	}
	other := value
	other.Cut = 7
	if a := m.accept(at.id, 50, other); a == nil || a.OK {
		t.Fatalf("two values were accepted at one ballot: %+v", a)
	}
	m.crash()
	m.restart()
	if p := m.promise(at.id, at.epoch, 51); p == nil || !p.OK || p.Acc == nil || !p.Acc.Value.same(&value) {
		t.Fatalf("the accepted value is not in the promise: %+v", p)
	}
}

func TestAClusterIsFoundedWholeOrNotAtAll(t *testing.T) {
	c := newCluster(t, 215)
	m := &member{c: c, disk: store.NewMemory(store.MemoryOptions{Crashable: true})}
	c.members = append(c.members, m)
	var err error
	m.sim = c.net.Add(func(env dht.Env) []dht.Service {
		m.kv, err = New(env, &oracle{c: c}, moody{m.disk, m}, c.cfg)
		return []dht.Service{m.kv}
	})
	if err != nil || !m.kv.Empty() {
		t.Fatalf("a new node: %v", err)
	}
	m.busy = 1
	m.await(func(ctx context.Context) { err = m.kv.Found(ctx) })
	if err == nil || !m.kv.Empty() {
		t.Fatalf("founded on a disk that took nothing: %v", err)
	}
	m.busy = 0
	m.await(func(ctx context.Context) { err = m.kv.Found(ctx) })
	if err != nil || m.kv.Empty() {
		t.Fatalf("second attempt: %v", err)
	}
	m.crash() // what Found returned for is durable
	m.sim.Restart(func(env dht.Env) []dht.Service {
		m.kv, err = New(env, &oracle{c: c}, m.disk, c.cfg)
		return []dht.Service{m.kv}
	})
	if err != nil || m.kv.Empty() {
		t.Fatalf("after a crash: %v", err)
	}
}
