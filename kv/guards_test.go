package kv

import (
	"bytes"
	"context"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/net/simnet"
)

// A member that has not installed an epoch holds none of its promises: it would
// forget them when it installs it.
func TestANeverInstalledMemberDoesNotPromise(t *testing.T) {
	c := grow(t, 101, 5)
	id := uint32(3)
	var m *member // that has nothing to do with the slot
	for _, m = range c.members {
		if !c.newestOf(id).has(m.sim.Peer()) {
			break
		}
	}
	promiseOf := func(epoch uint64) *promise {
		var got *promise
		m.await(func(ctx context.Context) {
			msg := &prepare{Slot: id, Epoch: epoch, Ballot: ballot{N: 1, Peer: dht.NewID(1, 1)}}
			got, _ = ownReply[*promise](ctx, m.kv, func(r dht.Reply) { m.kv.onPrepare(msg, r) })
		})
		return got
	}
	next := configuration{Epoch: c.newestOf(id).Epoch + 1, Members: []dht.Peer{m.kv.self(), c.members[0].kv.self()}}
	m.kv.slot(id).Next = &next
	if got := promiseOf(next.Epoch); got == nil || got.OK {
		t.Fatalf("a member that has not installed epoch %d promised: %+v", next.Epoch, got)
	}
}

// slotFor is a slot with its members, the primary first, and a node outside.
type slotFor struct {
	id      uint32
	epoch   uint64
	members []*member
	outside *member
}

func (c *cluster) slotWith(key string) slotFor {
	id := c.cfg.slotOf(c.cfg.Space.KeyID([]byte(key)))
	conf := c.newestOf(id)
	at := slotFor{id: id, epoch: conf.Epoch}
	for _, p := range primaryFirst(conf) {
		at.members = append(at.members, c.member(p))
	}
	for _, m := range c.members {
		if !conf.has(m.sim.Peer()) {
			at.outside = m
		}
	}
	return at
}

// ask enters a handler of the node and waits for its reply.
func ask1[R dht.Message](m *member, handle func(dht.Reply)) R {
	var reply R
	m.await(func(ctx context.Context) { reply, _ = ownReply[R](ctx, m.kv, handle) })
	return reply
}

func (m *member) promise(id uint32, epoch, n uint64) *promise {
	msg := &prepare{Slot: id, Epoch: epoch, Ballot: ballot{N: n, Peer: dht.NewID(1, 1)}}
	return ask1[*promise](m, func(r dht.Reply) { m.kv.onPrepare(msg, r) })
}

func (m *member) accept(id uint32, n uint64, value configuration) *accepted {
	msg := &accept{Slot: id, Epoch: value.Epoch - 1, Ballot: ballot{N: n, Peer: dht.NewID(1, 1)}, Value: value}
	return ask1[*accepted](m, func(r dht.Reply) { m.kv.onAccept(msg, r) })
}

func (m *member) appendFrom(primary *member, r run) ack {
	msg := &appendRequest{Runs: []run{r}}
	return ask1[*appended](m, func(reply dht.Reply) { m.kv.onAppend(primary.sim.Peer(), msg, reply) }).Acks[0]
}

func TestAFrozenMemberNeitherAppendsNorConfirms(t *testing.T) {
	c := grow(t, 202, 4)
	at := c.slotWith("a")
	m := at.members[1]
	last := m.kv.slots[at.id].last
	next := func(seq uint64) run {
		return run{Slot: at.id, Epoch: at.epoch, Prev: seq - 1, Records: []record{{Epoch: at.epoch, Seq: seq, Key: []byte("a")}}}
	}
	ask := &confirm{Slots: []slotEpoch{{Slot: at.id, Epoch: at.epoch}}}
	if a := m.appendFrom(at.members[0], next(last+1)); a.Outcome != ackRun || a.Last != last+1 {
		t.Fatalf("an active member answered %+v", a)
	}
	if got := m.kv.onConfirm(ask); !bytes.Equal(got.OK, []byte{1}) {
		t.Fatalf("an active member did not confirm: %v", got.OK)
	}
	if a := m.appendFrom(at.outside, next(last+2)); a.Outcome == ackRun {
		t.Fatalf("records of a node that is not the primary were acknowledged: %+v", a)
	}
	if a := m.appendFrom(at.members[0], next(last+3)); a.Outcome != gapRun || a.Last != last+1 {
		t.Fatalf("a gap was answered with %+v", a)
	}
	if p := m.promise(at.id, at.epoch, 50); p == nil || !p.OK || p.Last != last+1 {
		t.Fatalf("promise: %+v", p)
	}
	if a := m.appendFrom(at.members[0], next(last+2)); a.Outcome != refuseRun {
		t.Fatalf("a frozen member answered %+v", a)
	}
	if got := m.kv.onConfirm(ask); !bytes.Equal(got.OK, []byte{0}) {
		t.Fatalf("a frozen member confirmed: %v", got.OK)
	}
	c.settle(time.Minute)
	if now := c.newestOf(at.id).Epoch; now <= at.epoch {
		t.Fatalf("still in epoch %d", now)
	}
	if got := m.kv.onConfirm(ask); !bytes.Equal(got.OK, []byte{0}) {
		t.Fatalf("a member of a later epoch confirmed the old one: %v", got.OK)
	}
}

// B alone has a record that its primary A sent to nobody else. C and A decide to end
// the epoch before it and die. B, which takes part in the next proposal, must find
// their value and give the record up.
func TestADecidedValueIsTakenOverUnchanged(t *testing.T) {
	c := grow(t, 203, 3)
	if _, err := c.members[0].put("a", "kept"); err != nil {
		t.Fatal(err)
	}
	at := c.slotWith("a")
	a, b, cc := at.members[0], at.members[1], at.members[2]
	cut := a.kv.slots[at.id].last
	extra := run{Slot: at.id, Epoch: at.epoch, Prev: cut, Records: []record{{Epoch: at.epoch, Seq: cut + 1, Key: []byte("a"), Value: []byte("never")}}}
	if got := b.appendFrom(a, extra); got.Outcome != ackRun {
		t.Fatalf("append: %+v", got)
	}
	c.net.Partition([]*simnet.Node{b.sim})
	propose := func(m *member) {
		m.sim.Do("propose", func(ctx context.Context) {
			s := m.kv.slots[at.id]
			s.mending = true
			for range 5 { // it may be outvoted, or cut short
				if m.kv.propose(ctx, s, plan{s.Cfg.Members, causeMove}) == nil {
					break
				}
			}
			s.mending = false
		})
	}
	propose(cc)
	accepted := func(m *member) bool { return m.kv.slots[at.id].Acc != nil }
	c.until(t, 5*time.Second, func() bool { return accepted(a) && accepted(cc) })
	decided := cc.kv.slots[at.id].Acc.Value
	if decided.Cut != cut {
		t.Fatalf("the cut is %d, not %d", decided.Cut, cut)
	}
	c.until(t, time.Second, func() bool { return cc.kv.slots[at.id].Next != nil })
	a.crash()
	cc.disk = func() *member { cc.sim.Crash(); return cc }().disk.Crash(nil)
	c.net.Heal()
	cc.restart()
	c.until(t, 5*time.Second, func() bool { return cc.joined })
	propose(b)
	c.until(t, 30*time.Second, func() bool { return b.kv.slots[at.id].Cfg.Epoch > at.epoch })
	if got := b.kv.slots[at.id]; got.Cfg.Epoch == decided.Epoch && (got.Cfg.Cut != cut || got.last != cut) {
		t.Fatalf("installed %+v with a log up to %d; decided was %+v", got.Cfg, got.last, decided)
	}
	a.restart()
	c.settle(time.Minute)
	for _, m := range c.members {
		if got, err := m.get("a"); err != nil || got != "kept" {
			t.Fatalf("get at %s: %q, %v", m.sim, got, err)
		}
	}
}

// What a frozen member has may have been given to it as a copy, beyond a cut that is
// decided already. Its heartbeats acknowledge nothing.
func TestAFrozenMembersHeartbeatAcknowledgesNothing(t *testing.T) {
	c := grow(t, 210, 5, withConfig(Config{Slots: 16, Replicas: 5}))
	at := c.slotWith("a")
	primary := at.members[0]
	s := primary.kv.slots[at.id]
	for i := range s.lead.members {
		s.lead.members[i].stuck = true // so that the write is sent to nobody
	}
	write := func(done func()) {
		q := &request{Op: opPut, Slot: at.id, Key: []byte("a"), Value: []byte("x"), ID: make([]byte, requestIDLen), Stamp: s.Com}
		primary.kv.write(s, q, func(r *response, err error) {
			if err == nil && !r.Moved {
				done()
			}
		})
	}
	committed := false
	primary.await(func(context.Context) { write(func() { committed = true }) })
	c.net.RunFor(5 * time.Millisecond)
	next := run{Slot: at.id, Epoch: at.epoch, Prev: s.last - 1, Records: []record{toWire(&s.tail[0])}}
	for _, m := range at.members[1:3] {
		if a := m.appendFrom(primary, next); a.Outcome != ackRun {
			t.Fatalf("append: %+v", a)
		}
		if p := m.promise(at.id, at.epoch, 50); p == nil || !p.OK || p.Last != s.last {
			t.Fatalf("promise: %+v", p)
		}
	}
	for _, m := range at.members[1:3] {
		said := &tell{}
		m.kv.describe(&said.rows, at.id)
		if r := said.Rows[0]; r.Last != 0 || !r.Frozen {
			t.Errorf("a frozen member says %+v", r)
		}
		said.Rows[0].Last = s.last // as one that has restarted since might
		primary.await(func(context.Context) { primary.kv.takeIn(m.kv.self(), said) })
	}
	c.net.RunFor(5 * time.Millisecond)
	if committed || s.Com >= s.last {
		t.Fatalf("version %d was committed by heartbeats of frozen members", s.last)
	}
}
