package kv

import (
	"context"
	"errors"
	"testing"
	"time"

	"dyschord/net/simnet"
)

func TestAFullDiskRefusesAndReads(t *testing.T) {
	c := grow(t, 111, 3)
	if _, err := c.members[0].put("a", "1"); err != nil {
		t.Fatal(err)
	}
	for _, m := range c.members {
		m.disk.SetFull(true)
	}
	for _, m := range c.members {
		if _, err := m.put("a", "2"); !errors.Is(err, ErrFull) || errors.Is(err, ErrUnknown) {
			t.Fatalf("put on a full disk at %s: %v", m.sim, err)
		}
		if got, err := m.get("a"); err != nil || got != "1" {
			t.Fatalf("get with a full disk at %s: %q, %v", m.sim, got, err)
		}
	}
	if _, err := c.members[0].remove("a"); err != nil {
		t.Fatalf("delete on a full disk: %v", err)
	}
	for _, m := range c.members {
		m.disk.SetFull(false)
	}
	if w, err := c.members[1].put("a", "3"); err != nil || w.Existed {
		t.Fatalf("put after room was made: %+v, %v", w, err)
	}
	if c.fatal != 0 {
		t.Fatalf("%d nodes stopped", c.fatal)
	}
}

// A record rots on the primary's disk. The primary notices when it reads it, gives
// its copy up, and has a good one again in the end, also where there is no fourth node.
func TestACorruptReplicaIsReplaced(t *testing.T) {
	for _, nodes := range []int{3, 5} {
		c := grow(t, uint64(150+nodes), nodes)
		if _, err := c.members[0].put("a", "good"); err != nil {
			t.Fatal(err)
		}
		at := c.slotWith("a")
		primary := at.members[0]
		if !primary.disk.Damage(at.id, primary.kv.slots[at.id].last) {
			t.Fatal("nothing was damaged")
		}
		for _, m := range c.members {
			if got, err := m.get("a"); err != nil || got != "good" {
				t.Fatalf("%d nodes: get at %s: %q, %v", nodes, m.sim, got, err)
			}
		}
		c.net.RunFor(10 * time.Second)
		c.settle(time.Minute)
		for _, p := range c.newestOf(at.id).Members {
			if rec, err := c.member(p).disk.Lookup(at.id, []byte("a")); err != nil || string(rec.Value) != "good" {
				t.Errorf("%d nodes: %s has %q, %v", nodes, p, rec.Value, err)
			}
		}
		if c.fatal > 0 {
			t.Error("a node stopped")
		}
	}
}

// Two followers are alive and full: what the primary has numbered without them must
// not fill its memory, and clients learn why.
func TestWritesThatCannotBeCommittedAreBounded(t *testing.T) {
	const limit = 1 << 20
	c := grow(t, 211, 3, withConfig(Config{Slots: 16, MaxValue: 64 << 10, MaxPending: limit, Timeout: time.Second}))
	at := c.slotWith("a")
	primary := at.members[0]
	for _, m := range at.members[1:] {
		m.disk.SetFull(true)
	}
	full := 0
	for range 100 {
		primary.sim.Do("put", func(ctx context.Context) {
			_, _, err := primary.kv.Put(ctx, []byte("a"), Put{Value: make([]byte, 60<<10)})
			if errors.Is(err, ErrFull) && !errors.Is(err, ErrUnknown) {
				full++
			}
		})
		c.net.RunFor(100 * time.Millisecond)
	}
	s, held := primary.kv.slots[at.id], 0
	for i := range s.tail {
		held += recordBytes(&s.tail[i])
	}
	if held > limit || held != primary.kv.pending || full < 50 {
		t.Errorf("%d bytes in the tail, %d counted, %d allowed; %d of 100 writes were told of the full disks", held, primary.kv.pending, limit, full)
	}
	for _, m := range at.members[1:] {
		m.disk.SetFull(false)
	}
	c.settle(time.Minute)
	c.net.RunFor(2 * time.Second)
	if _, err := primary.put("a", "small"); err != nil {
		t.Fatalf("put after room was made: %v", err)
	}
	for _, m := range c.members {
		if m.kv.pending > 10_000 {
			t.Errorf("%s still counts %d bytes", m.sim, m.kv.pending)
		}
	}
}

// The own disk fails under a write: it may have been applied.
func TestAWriteUnderAFailingDiskIsUnknown(t *testing.T) {
	c := grow(t, 212, 3)
	primary := c.slotWith("a").members[0]
	c.net.Partition([]*simnet.Node{primary.sim})
	var err error
	primary.await(func(ctx context.Context) {
		primary.disk.Fail(errors.New("broken"))
		_, _, err = primary.kv.Put(ctx, []byte("a"), Put{Value: []byte("x")})
	})
	if !errors.Is(err, ErrUnknown) {
		t.Errorf("put: %v", err)
	}
	if c.fatal != 1 {
		t.Errorf("the node was stopped %d times", c.fatal)
	}
}

// A corrupt record is no answer to the question whether its key has a value.
func TestAWriteOverACorruptRecordGoesElsewhere(t *testing.T) {
	c := grow(t, 214, 4)
	if _, err := c.members[0].put("a", "1"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.members[0].remove("a"); err != nil {
		t.Fatal(err)
	}
	at := c.slotWith("a")
	primary := at.members[0]
	if !primary.disk.Damage(at.id, primary.kv.slots[at.id].last) {
		t.Fatal("nothing was damaged")
	}
	if w, err := primary.put("a", "2"); err != nil || w.Existed || w.Version != 3 {
		t.Errorf("put over a deleted key: %+v, %v", w, err)
	}
	if now := c.slotWith("a"); now.members[0] == primary {
		t.Errorf("the slot is still served from the corrupt copy")
	}
}
