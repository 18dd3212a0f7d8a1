package kv

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"dyschord/kv/store"
	"dyschord/net/simnet"
)

func TestARetryIsNotAppliedTwice(t *testing.T) {
	c := grow(t, 121, 5)
	key := "a"
	id := c.cfg.slotOf(c.cfg.Space.KeyID([]byte(key)))
	gateway := c.members[0]
	for _, m := range c.members {
		if s := m.kv.slots[id]; s == nil || !s.Cfg.has(m.sim.Peer()) {
			gateway = m
		}
	}
	if _, err := gateway.put(key, "0"); err != nil {
		t.Fatal(err)
	}
	for round := range 5 {
		primary := c.member(c.newestOf(id).primary())
		before := primary.kv.slots[id].last
		// The answer is lost, and then the primary itself.
		c.net.SetLink(func(from, to *simnet.Node) bool { return from != primary.sim || to != gateway.sim })
		c.net.After(time.Second, primary.crash)
		value := fmt.Sprint("round ", round)
		w, err := gateway.put(key, value)
		if err != nil || !w.Existed || w.Version != before+1 {
			t.Fatalf("round %d: %+v after version %d, %v", round, w, before, err)
		}
		c.net.Heal()
		if got, err := gateway.get(key); err != nil || got != value {
			t.Fatalf("round %d: get %q, %v", round, got, err)
		}
		last := c.member(c.newestOf(id).primary()).kv.slots[id].last
		if last != w.Version {
			t.Fatalf("round %d: version %d was given, but the log ends at %d", round, w.Version, last)
		}
		primary.restart()
		c.settle(time.Minute)
	}
}

func TestAWriteDroppedAtACutIsForgotten(t *testing.T) {
	s := &slot{}
	id := func(b byte) []byte { return requestBytes(bytes.Repeat([]byte{b}, requestIDLen), true) }
	for seq := uint64(1); seq <= 5; seq++ {
		s.extend(toStoreRecord(seq, id(byte(seq))))
	}
	s.shorten(3)
	for seq := byte(1); seq <= 5; seq++ {
		at, ok := s.window.find(id(seq)[:requestIDLen])
		if want := seq <= 3; ok != want || ok && (at.seq != uint64(seq) || !at.existed) {
			t.Errorf("request of version %d: found %v %+v", seq, ok, at)
		}
	}
	s.extend(toStoreRecord(4, id(9)))
	if at, ok := s.window.find(id(9)[:requestIDLen]); !ok || at.seq != 4 || s.window.floor != 0 {
		t.Errorf("the next version 4: %+v %v, floor %d", at, ok, s.window.floor)
	}
	s.extend(toStoreRecord(7, id(10)))
	if _, ok := s.window.find(id(1)[:requestIDLen]); ok || s.window.floor != 6 {
		t.Errorf("requests below a gap are found, or the floor %d is not 6", s.window.floor)
	}
}

func toStoreRecord(seq uint64, request []byte) store.Record {
	return store.Record{Epoch: 1, Seq: seq, Key: []byte("k"), Request: request}
}
