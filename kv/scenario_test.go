package kv

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/net/simnet"
)

// scenario is a cluster of n nodes under load, with nothing wrong yet.
func scenario(t *testing.T, seed uint64, n int, opts ...option) *storm {
	t.Helper()
	st := &storm{count: map[string]int{}}
	st.prepare(t, seed, n, opts...)
	st.begin()
	st.net.RunFor(2 * time.Second)
	return st
}

// until runs until cond holds, which must happen.
func (st *storm) until(what string, limit time.Duration, cond func() bool) {
	st.t.Helper()
	if !st.net.RunUntil(cond, limit) {
		st.t.Fatalf("seed %d: %s did not happen in %s\n%s", st.net.Seed(), what, limit, st.describe())
	}
}

// step finds a node that proposes for a slot and has come to a certain point.
type step struct {
	name string
	at   func(st *storm, m *member, s *slot) bool
}

// voters counts the nodes of which f is true for the slot.
func (st *storm) voters(id uint32, f func(*slot) bool) int {
	k := 0
	for _, m := range st.live() {
		if s := m.kv.slots[id]; s != nil && f(s) {
			k++
		}
	}
	return k
}

func promisedTo(m *member, s *slot) func(*slot) bool {
	return func(o *slot) bool { return o.Cfg.Epoch == s.Cfg.Epoch && o.Prom == s.Prom }
}

func acceptedFrom(s *slot) func(*slot) bool {
	return func(o *slot) bool {
		return o.Cfg.Epoch == s.Cfg.Epoch && o.Acc != nil && s.Acc != nil && o.Acc.Ballot == s.Acc.Ballot
	}
}

var steps = []step{
	{"copy ahead", func(st *storm, m *member, s *slot) bool {
		return m.kv.serving(s) && st.voters(s.id, func(o *slot) bool { return o.Cfg.Epoch < s.Cfg.Epoch && o.Tag == s.Cfg.Epoch }) > 0
	}},
	{"own promise", func(st *storm, m *member, s *slot) bool { return st.voters(s.id, promisedTo(m, s)) == 1 }},
	{"majority of promises", func(st *storm, m *member, s *slot) bool { return st.voters(s.id, promisedTo(m, s)) >= 2 }},
	{"own acceptance", func(st *storm, m *member, s *slot) bool { return st.voters(s.id, acceptedFrom(s)) == 1 }},
	{"decision", func(st *storm, m *member, s *slot) bool { return st.voters(s.id, acceptedFrom(s)) >= 2 }},
	{"decision known", func(st *storm, m *member, s *slot) bool { return s.Next != nil && s.Prom.Peer == m.sim.Peer().ID }},
	{"one installed", func(st *storm, m *member, s *slot) bool {
		return s.Next != nil && st.voters(s.id, func(o *slot) bool { return o.Cfg.Epoch > s.Cfg.Epoch }) > 0
	}},
}

// reached finds a proposer at the step: its own ballot stands, unless it is before
// that.
func (sp *step) reached(st *storm) *member {
	for _, m := range st.live() {
		for _, s := range m.kv.slots {
			if s == nil || s.Cfg.Epoch == 0 || !s.Cfg.has(m.sim.Peer()) {
				continue
			}
			if own := !s.Prom.isZero() && s.Prom.Peer == m.sim.Peer().ID; (own || sp.name == "copy ahead") && sp.at(st, m, s) {
				return m
			}
		}
	}
	return nil
}

func TestProposerDiesAfterEachStep(t *testing.T) {
	for _, sp := range steps {
		for _, back := range []time.Duration{0, 8 * time.Second} {
			t.Run(fmt.Sprintf("%s, back after %s", sp.name, back), func(t *testing.T) {
				t.Parallel()
				st := scenario(t, 11, 4)
				st.add()
				var victim *member
				st.until(sp.name, 20*time.Second, func() bool {
					victim = sp.reached(st)
					return victim != nil
				})
				victim.crash()
				if back > 0 {
					st.net.After(back, victim.restart)
				}
				st.net.RunFor(20 * time.Second)
				st.end(100)
			})
		}
	}
}

func TestTwoProposersAtOnce(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			st := scenario(t, seed+20, 5)
			for range 4 { // all members of all slots, at the same time
				for _, m := range st.live() {
					kv := m.kv
					m.sim.Do("propose", func(ctx context.Context) {
						for _, s := range kv.slots {
							if s != nil && kv.active(s, s.Cfg.Epoch) && !s.mending {
								s.mending = true
								kv.env.Go("propose", func(ctx context.Context) {
									_ = kv.propose(ctx, s, plan{kv.target(s), causeMove}) // most are outvoted
									s.mending = false
								})
							}
						}
					})
				}
				st.net.RunFor(2 * time.Second)
			}
			st.end(100)
		})
	}
}

// chosenSlot is a slot with keys, with its members in order.
func (st *storm) chosenSlot() (id uint32, primary *member, others []*member) {
	id = st.cfg.slotOf(st.cfg.Space.KeyID([]byte(st.keys[0])))
	c := st.newestOf(id)
	for _, p := range primaryFirst(c)[1:] {
		others = append(others, st.member(p))
	}
	return id, st.member(c.primary()), others
}

// A write that only the primary has is the longest prefix in a proposal, and its
// holder dies: the others must go on without it, and it must not come back.
func TestTheCutsOnlyHolderDies(t *testing.T) {
	for _, back := range []bool{false, true} {
		t.Run(fmt.Sprint("returns=", back), func(t *testing.T) {
			st := scenario(t, 31, 5)
			id, primary, others := st.chosenSlot()
			s := primary.kv.slots[id]
			st.net.SetLink(func(from, _ *simnet.Node) bool { return from != primary.sim })
			last := s.last
			primary.sim.Do("put", func(ctx context.Context) {
				e := st.h.begin(0, opPut, st.keys[0], "only here", st.net.Now())
				st.operate(ctx, primary.kv, e)
			})
			st.until("a write that only the primary has", 2*time.Second, func() bool { return s.last > last && s.synced > last })
			st.until("a proposal by another member", 20*time.Second, func() bool {
				return !others[0].kv.slots[id].Prom.isZero() || !others[1].kv.slots[id].Prom.isZero()
			})
			st.net.Heal()
			st.until("a promise of the primary", 10*time.Second, func() bool {
				return !s.Prom.isZero() || s.Next != nil
			})
			primary.crash()
			if back {
				st.net.After(10*time.Second, primary.restart)
			}
			st.net.RunFor(20 * time.Second)
			st.end(100)
		})
	}
}

func TestAStagingTargetDies(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			st := scenario(t, seed+40, 4)
			target := st.add()
			st.until("a copy at the newcomer", 20*time.Second, func() bool {
				for _, s := range target.kv.slots {
					if s != nil && (s.copying || s.Dirty || s.Tag > 0) {
						return true
					}
				}
				return false
			})
			target.crash()
			st.net.RunFor(20 * time.Second)
			st.end(100)
		})
	}
}

// The founder grows to three nodes and dies when the decision is known to a
// newcomer: they must have had the data before anybody could accept.
func TestGrowthSurvivesTheFounder(t *testing.T) {
	st := &storm{count: map[string]int{}}
	st.prepare(t, 51, 1)
	st.begin()
	st.net.RunFor(5 * time.Second)
	founder := st.members[0]
	newcomers := []*member{st.add(), st.add()}
	knows := func(id uint32) bool {
		for _, m := range newcomers {
			if c := m.kv.latest(id); c != nil && c.Epoch == 2 {
				return true
			}
		}
		return false
	}
	st.until("growth of every slot", 20*time.Second, func() bool {
		for id := range uint32(st.cfg.Slots) {
			if !knows(id) {
				return false
			}
		}
		return true
	})
	founder.crash()
	founder.gone = true // for good: with one of three a majority is left
	st.until("service without the founder", time.Minute, func() bool {
		for id := range uint32(st.cfg.Slots) {
			serving := 0
			for _, m := range newcomers {
				if s := m.kv.slots[id]; s == nil || !m.kv.active(s, st.newestOf(id).Epoch) {
					return false
				} else if m.kv.serving(s) {
					serving++
				}
			}
			if serving != 1 {
				return false
			}
		}
		return true
	})
	st.calm = true
	st.net.RunFor(15 * time.Second)
	st.finalReads()
	st.checkAll(false)
	st.judge(20)
}

// A decision is made and nobody tells the newcomers: they are told by heartbeats,
// or ask.
func TestADecisionThatNobodyToldTheNewcomers(t *testing.T) {
	st := scenario(t, 61, 4)
	newcomer := st.add()
	var proposer *member
	st.until("a decision that gives the newcomer a slot", 30*time.Second, func() bool {
		for _, m := range st.live() {
			for _, s := range m.kv.slots {
				if s != nil && s.Acc != nil && s.Acc.Value.has(newcomer.sim.Peer()) && st.voters(s.id, acceptedFrom(s)) >= 2 {
					proposer = m
					return true
				}
			}
		}
		return false
	})
	st.net.SetLink(func(from, to *simnet.Node) bool { return from != newcomer.sim && to != newcomer.sim })
	proposer.crash()
	st.net.RunFor(10 * time.Second)
	st.net.Heal()
	st.net.RunFor(20 * time.Second)
	st.end(100)
}

func TestAnOldPrimaryReturnsAfterAnHour(t *testing.T) {
	st := scenario(t, 71, 5)
	id, old, _ := st.chosenSlot()
	// Only the old primary cannot hear or speak; it goes on running and believing.
	st.net.SetLink(func(from, to *simnet.Node) bool { return from != old.sim && to != old.sim })
	st.net.RunFor(20 * time.Second)
	st.calm = true
	st.net.RunFor(time.Hour)
	if got := old.kv.slots[id].Cfg.Epoch; got >= st.newestOf(id).Epoch {
		t.Fatalf("the old primary is in epoch %d, nobody is further", got)
	}
	st.calm = false
	for range 6 {
		st.client()
	}
	st.net.Heal()
	st.net.RunFor(10 * time.Second)
	st.end(100)
}

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

func (c *cluster) until(t *testing.T, limit time.Duration, cond func() bool) {
	t.Helper()
	if !c.net.RunUntil(cond, limit) {
		t.Fatalf("did not happen in %s\n%s", limit, c.describe())
	}
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

// Two nodes leave at about the same time, each in the plans of the other's slots.
func TestTwoNodesLeaveAtOnce(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			st := scenario(t, 131+seed, 5)
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
}

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

// A node that left comes back under its old identity, and is given slots again.
func TestWhoLeftMayComeBack(t *testing.T) {
	c := grow(t, 161, 4)
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
}
