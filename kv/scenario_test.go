package kv

import (
	"context"
	"fmt"
	"testing"
	"time"

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
	onEach(t, func(t *testing.T, overlay option) {
		for _, sp := range steps {
			for _, back := range []time.Duration{0, 8 * time.Second} {
				t.Run(fmt.Sprintf("%s, back after %s", sp.name, back), func(t *testing.T) {
					t.Parallel()
					st := scenario(t, 11, 4, overlay)
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
	})
}

func TestTwoProposersAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, overlay option) {
		for seed := range uint64(5) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				st := scenario(t, seed+20, 5, overlay)
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
	})
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
	onEach(t, func(t *testing.T, overlay option) {
		for _, back := range []bool{false, true} {
			t.Run(fmt.Sprint("returns=", back), func(t *testing.T) {
				st := scenario(t, 31, 5, overlay)
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
	})
}

func TestAStagingTargetDies(t *testing.T) {
	onEach(t, func(t *testing.T, overlay option) {
		for seed := range uint64(4) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				st := scenario(t, seed+40, 4, overlay)
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
	})
}

// The founder grows to three nodes and dies when the decision is known to a
// newcomer: they must have had the data before anybody could accept.
func TestGrowthSurvivesTheFounder(t *testing.T) {
	onEach(t, func(t *testing.T, overlay option) {
		st := &storm{count: map[string]int{}}
		st.prepare(t, 51, 1, overlay)
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
	})
}

// A decision is made and nobody tells the newcomers: they are told by heartbeats,
// or ask.
func TestADecisionThatNobodyToldTheNewcomers(t *testing.T) {
	onEach(t, func(t *testing.T, overlay option) {
		st := scenario(t, 61, 4, overlay)
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
	})
}

func TestAnOldPrimaryReturnsAfterAnHour(t *testing.T) {
	onEach(t, func(t *testing.T, overlay option) {
		st := scenario(t, 71, 5, overlay)
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
	})
}
