package kv

import (
	"context"
	"errors"
	"time"

	"dyschord/net/simnet"
)

// draw chooses the faults of this seed, many of them not at all.
func (st *storm) draw() {
	maybe := func(most float64) float64 {
		if st.rng.IntN(2) == 0 {
			return 0
		}
		return st.rng.Float64() * most
	}
	st.rates = map[string]float64{}
	for _, f := range faults {
		st.rates[f.name] = maybe(f.most)
	}
	f := simnet.Faults{
		Loss:   maybe(0.3) * maybe(1),
		Jitter: time.Duration(maybe(float64(50 * time.Millisecond))), Reorder: maybe(0.2), ReorderBy: time.Second,
	}
	if st.rng.IntN(8) == 0 {
		f.ReorderBy = 10 * time.Second
	}
	f.Cut = maybe(0.01)
	f.Late, f.LateBy = maybe(0.5), time.Duration(maybe(float64(50*time.Millisecond)))
	f.DiskJitter = time.Duration(maybe(float64(20 * time.Millisecond)))
	if st.rng.IntN(4) == 0 {
		f.Duplicate = st.rng.Float64() / 2
	}
	if st.h.dups = f.Duplicate > 0; st.h.dups {
		// A repeated request may be carried out after a refusal, so no refusal is
		// binding: a full disk would leave more open ends than can be checked.
		st.rates["full disk"] = 0
	}
	st.net.SetFaults(f)
}

// fault is something that may happen in a storm.
type fault struct {
	name string
	most float64 // times per second
	do   func(*storm)
}

var faults = []fault{
	{"crash", 0.2, func(st *storm) { st.crashOne() }},
	{"crash all", 0.03, func(st *storm) {
		for _, m := range st.members {
			if m.up() {
				st.crashFor(m)
			}
		}
	}},
	{"partition", 0.1, func(st *storm) {
		side := map[*simnet.Node]bool{}
		for _, m := range st.members {
			side[m.sim] = st.rng.IntN(2) == 0
		}
		st.severFor(func(from, to *simnet.Node) bool { return side[from] == side[to] })
	}},
	{"one way", 0.1, func(st *storm) {
		deaf := st.pick().sim
		st.severFor(func(_, to *simnet.Node) bool { return to != deaf })
	}},
	{"pause", 0.1, func(st *storm) { st.pick().sim.Pause(st.upTo(10 * time.Second)) }},
	{"clog", 0.05, func(st *storm) {
		slow := st.pick().sim
		st.net.Clog(func(from, to *simnet.Node) bool { return from == slow || to == slow })
		st.net.After(st.upTo(5*time.Second), st.net.Unclog)
	}},
	{"join", 0.05, func(st *storm) {
		if len(st.members) < maxNodes {
			st.add()
		}
	}},
	{"leave", 0.05, func(st *storm) { st.leaveOne() }},
	{"clock", 0.05, func(st *storm) {
		st.pick().sim.SetClock(time.Duration(st.rng.Int64N(int64(2*time.Hour)))-time.Hour, st.rng.Float64()*0.1-0.05)
	}},
	{"full disk", 0.05, func(st *storm) {
		m := st.pick()
		m.disk.SetFull(true)
		st.net.After(st.upTo(10*time.Second), func() { m.disk.SetFull(false) })
	}},
	{"failed disk", 0.03, func(st *storm) { st.pick().disk.Fail(errors.New("injected")) }},
	{"busy disk", 0.1, func(st *storm) {
		m := st.pick()
		m.busy = st.rng.Float64() / 2
		st.net.After(st.upTo(5*time.Second), func() { m.busy = 0 })
	}},
	{"damage", 0.05, func(st *storm) { st.damage() }},
}

// damage rots the last record of one slot at one node, once in a storm, while there
// are good copies enough.
func (st *storm) damage() {
	if st.damaged != nil || !st.converged() || st.replicas() < 3 || len(st.live()) < 3 {
		st.count["damage"]--
		return
	}
	for _, id := range []uint32{0, 4, 8, 12} {
		for _, p := range st.newestOf(id).Members {
			m := st.member(p)
			if _, last, err := m.disk.Last(id); err == nil && last > 0 && m.disk.Damage(id, last) {
				st.damaged = &rot{m, id}
				return
			}
		}
	}
	st.count["damage"]--
}

func (st *storm) upTo(d time.Duration) time.Duration {
	return time.Duration(st.rng.Int64N(int64(d))) + time.Millisecond
}

func (st *storm) pick() *member { return st.members[st.rng.IntN(len(st.members))] }

func (st *storm) schedule(f fault, rate float64) {
	st.net.After(time.Duration(st.rng.ExpFloat64()/rate*float64(time.Second)), func() {
		if st.calm {
			return
		}
		st.count[f.name]++
		f.do(st)
		st.schedule(f, rate)
	})
}

func (st *storm) crashOne() {
	if m := st.pick(); m.up() {
		st.crashFor(m)
	}
}

func (st *storm) crashFor(m *member) {
	m.crash()
	st.net.After(st.upTo(15*time.Second), func() {
		if !m.up() && !m.gone {
			st.count["restart"]++
			m.restart()
		}
	})
}

func (st *storm) severFor(open func(from, to *simnet.Node) bool) {
	st.net.SetLink(open)
	st.net.After(st.upTo(12*time.Second), st.net.Heal)
}

// leaveOne lets a node leave, and end when it has.
func (st *storm) leaveOne() {
	m := st.pick()
	if len(st.live()) < 4 || !m.up() || !m.joined || m.gone {
		return
	}
	kv, overlay := m.kv, m.overlay
	env := m.sim.Env()
	m.sim.Do("leave", func(ctx context.Context) {
		ctx, cancel := env.WithTimeout(ctx, 40*time.Second)
		defer cancel()
		if kv.Leave(ctx) != nil {
			return
		}
		_ = overlay.Leave(ctx)
		st.net.After(0, func() {
			if m.kv == kv && m.up() {
				st.count["left"]++
				m.gone = true
				m.crash()
			}
		})
	})
}
