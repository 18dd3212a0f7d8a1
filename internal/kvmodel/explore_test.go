package main

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"
)

// counters is a small system: two counters up to a bound, and each step moves one.
type counters struct {
	bound int
	bad   [2]int
}

func (c counters) start() [2]int { return [2]int{} }

func (c counters) next(s *[2]int, out func(step, *[2]int)) {
	for i := range s {
		if s[i] < c.bound {
			n := *s
			n[i]++
			out(step{kind: wrote, node: i}, &n)
		}
	}
}

func (c counters) reduce(*[2]int) {}

func (c counters) id(s *[2]int) id { // the counters' names do not matter
	return hash([]uint64{uint64(min(s[0], s[1])), uint64(max(s[0], s[1]))})
}

func (c counters) broken(s *[2]int) string {
	if *s == c.bad || s[0] == c.bad[1] && s[1] == c.bad[0] {
		return "bad"
	}
	return ""
}

func TestExploreVisitsEachClassOnce(t *testing.T) {
	const bound = 99
	res := explore[[2]int](counters{bound, [2]int{-1, -1}}, 1<<20)
	if want := (bound + 1) * (bound + 2) / 2; res.states != want || !res.complete || res.broken != "" || res.depth != 2*bound {
		t.Errorf("%d states, not %d; complete %v, broken %q, depth %d", res.states, want, res.complete, res.broken, res.depth)
	}
}

func TestExploreFindsAShortestWay(t *testing.T) {
	res := explore[[2]int](counters{99, [2]int{3, 40}}, 1<<20)
	if res.broken != "bad" || len(res.trace) != 43 || res.complete {
		t.Fatalf("broken %q after %d steps, complete %v", res.broken, len(res.trace), res.complete)
	}
	at := [2]int{}
	for i, mv := range res.trace {
		if at[mv.step.node]++; at != mv.after {
			t.Fatalf("step %d leads to %v, not %v", i, mv.after, at)
		}
	}
	if res := explore[[2]int](counters{99, [2]int{0, 0}}, 1<<20); res.broken != "bad" || len(res.trace) != 0 {
		t.Errorf("the first state: broken %q, %d steps", res.broken, len(res.trace))
	}
}

func TestExploreSaysWhenItStopsEarly(t *testing.T) {
	if res := explore[[2]int](counters{99, [2]int{-1, -1}}, 1000); res.complete || res.states < 1000 || res.states > 1010 {
		t.Errorf("complete %v after %d states", res.complete, res.states)
	}
}

// visitor shows each world that it is asked about.
type visitor struct {
	*model
	visit func(*world)
}

func (v visitor) broken(w *world) string {
	v.visit(w)
	return ""
}

func wander(m *model, seed uint64, walks int, visit func(*world)) {
	roam[world](visitor{m, visit}, seed, walks, 60)
}

func everything() *model {
	return &model{departures: asBuilt(), scope: scope{
		nodes: 4, genesis: 3, late: 1, sizes: []int{1, 2, 3}, epochs: 4, proposals: 4, writes: 3, keys: "aba",
		retries: 2, reads: 2, crashes: 3, rots: 1, paged: true, sweeps: true, lazy: true,
	}}
}

// rename is w with other names for its nodes.
func rename(w *world, p *permutation) world {
	v := *w
	disk := func(d durable) durable {
		d.cfg, d.next, d.acc = p.value(d.cfg), p.value(d.next), p.value(d.acc)
		return d
	}
	for n := range w.nodes {
		nd := w.nodes[n]
		nd.mem, nd.disk, nd.asked = disk(nd.mem), disk(nd.disk), p.set(nd.asked)
		for m, a := range w.nodes[n].acked {
			nd.acked[p.name[m]] = a
		}
		v.nodes[p.name[n]] = nd
	}
	for i := range v.proposals {
		if q := &v.proposals[i]; q.epoch > 0 {
			q.node, q.promised, q.have, q.accepted, q.value = p.name[q.node], p.set(q.promised), p.set(q.have), p.set(q.accepted), p.value(q.value)
		}
	}
	if v.read.on {
		v.read.node, v.read.ok = p.name[v.read.node], p.set(v.read.ok)
	}
	for e := range v.decided {
		v.decided[e], v.announced[e] = p.value(v.decided[e]), p.value(v.announced[e])
	}
	return v
}

// The names of nodes make no difference: to the id, to what can happen next, and to
// what is broken.
func TestNamesDoNotMatter(t *testing.T) {
	m := everything()
	all := permutations(m.nodes)
	rng := rand.New(rand.NewPCG(7, 7))
	following := func(w *world) map[id]int {
		ids := map[id]int{}
		m.next(w, func(_ step, v *world) {
			m.reduce(v)
			ids[m.id(v)]++
		})
		return ids
	}
	wander(m, 1, 20, func(w *world) {
		v := rename(w, &all[rng.IntN(len(all))])
		if m.id(w) != m.id(&v) {
			t.Fatalf("two ids:\n%+v\n%+v", *w, v)
		}
		if (m.broken(w) == "") != (m.broken(&v) == "") {
			t.Fatalf("broken by its names: %q and %q", m.broken(w), m.broken(&v))
		}
		mine, renamed := following(w), following(&v)
		for x, n := range mine {
			if renamed[x] != n {
				t.Fatalf("a step from one is none from the other:\n%+v\n%+v", *w, v)
			}
		}
		if len(mine) != len(renamed) {
			t.Fatalf("%d worlds follow one, %d the other", len(mine), len(renamed))
		}
	})
}

// The encoding leaves nothing out: whatever bit of a world changes, its words do.
func TestTheEncodingLosesNothing(t *testing.T) {
	m := everything()
	same := &byCount[maxNodes][0]
	unused := func(w world) world { // places that stand for nothing
		w.seq[0], w.numbered[0], w.told[0], w.decided[0], w.announced[0] = sequence{}, 0, 0, 0, 0
		w.committed[0], w.stamp[0] = 0, 0
		for i := range w.seq {
			w.seq[i][0] = 0
		}
		for i := range w.nodes {
			nd := &w.nodes[i]
			nd.mem.log[0], nd.disk.log[0], nd.copy.log[0], nd.kept[0] = 0, 0, 0, 0
		}
		return w
	}
	changed := 0
	wander(m, 2, 10, func(w *world) {
		full := *w // a read and proposals, so that what they say counts
		full.read.on = true
		for i := range full.proposals {
			full.proposals[i].epoch |= 2
		}
		before := m.encode(&full, same)
		for at := range unsafe.Sizeof(full) {
			other := full
			(*[unsafe.Sizeof(full)]byte)(unsafe.Pointer(&other))[at] ^= 1
			if unused(other) == unused(full) {
				continue // between two fields
			}
			changed++
			if m.encode(&other, same) == before {
				t.Fatalf("byte %d does not count:\n%+v\n%+v", at, full, other)
			}
		}
	})
	if changed < 10_000 {
		t.Errorf("only %d changes were tried", changed)
	}
}

// A reduced world is a reduced world, or a class would have two ids.
func TestReducingTwiceChangesNothing(t *testing.T) {
	m := everything()
	wander(m, 3, 200, func(w *world) {
		v := *w
		if m.reduce(&v); v != *w {
			t.Fatalf("reduced again:\n%+v\n%+v", *w, v)
		}
	})
}

func TestATraceIsReadable(t *testing.T) {
	m := &model{scope: threeMembers, departures: asBuilt(), without: minorityCommits}
	var b strings.Builder
	tell(&b, m, explore[world](m, testLimit))
	const want = `   1. A numbers write 1: version 1
   2. A tells A that it has epoch 1 up to version 1
   3. A counts a majority: version 1 is committed, clients are answered
then: version 1 is on the disks of 1 of the 3 members of C1(ABC, primary A, cut 0)
      A  [1] of epoch 1, index at 1; in C1(ABC, primary A, cut 0); serves
      B  [] of epoch 1, index at 0; in C1(ABC, primary A, cut 0)
      C  [] of epoch 1, index at 0; in C1(ABC, primary A, cut 0)
`
	if b.String() != want {
		t.Errorf("the trace is\n%s\nnot\n%s", b.String(), want)
	}
}
