package kv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/kv/store"
	"dyschord/net/simnet"
)

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
