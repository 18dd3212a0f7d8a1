package kv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/kv/store"
	"dyschord/net/simnet"
)

// The campaign runs many clusters on Chord, each with faults of its own drawn from
// its seed, under load, and then in calm. Settings, as environment variables:
//
//	KV_SEEDS  how many seeds (default 100; with -short 10)
//	KV_SEED   run this one alone, or KV_SEEDS from this one on
//	KV_LOG    log level of the nodes
func TestStormThenCalm(t *testing.T) {
	seeds, first := 100, uint64(1)
	if testing.Short() {
		seeds = 10
	}
	if text := os.Getenv("KV_SEED"); text != "" {
		seeds = 1
		first, _ = strconv.ParseUint(text, 10, 64)
	}
	if text := os.Getenv("KV_SEEDS"); text != "" {
		seeds, _ = strconv.Atoi(text)
	}
	total := map[string]int{}
	t.Run("seeds", func(t *testing.T) {
		for seed := first; seed < first+uint64(seeds); seed++ {
			st := &storm{count: map[string]int{}}
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				st.run(t, seed)
				t.Cleanup(func() {
					if t.Failed() {
						t.Logf("again: KV_SEED=%d go test ./kv -run TestStormThenCalm", seed)
					}
				})
			})
			t.Cleanup(func() {
				for what, k := range st.count {
					total[what] += k
				}
			})
		}
	})
	t.Logf("totals: %v", total)
	if seeds < 50 || t.Failed() {
		return // each seed draws which faults it has: a few seeds need not have them all
	}
	for _, what := range []string{
		"crash", "restart", "crash all", "partition", "one way", "pause", "clog", "join", "leave", "left", "clock", "full disk",
		"failed disk", "damage", "busy disk", "lost", "duplicated", "reordered", "cut", "late", "copies of several pages", "copies given up",
		"put", "get", "delete", "unknown",
	} {
		if total[what] < seeds/10 {
			t.Errorf("%q happened %d times in %d seeds: the campaign proves less than it says", what, total[what], seeds)
		}
	}
}

// storm is one run of the campaign.
type storm struct {
	*cluster
	h       *history
	count   map[string]int
	keys    []string
	rates   map[string]float64 // of faults, in events per second of virtual time
	calm    bool
	long    bool // some values are long, and there are more keys
	damaged bool
	values  int
	clients int
	chain   map[slotEpoch]*configuration
}

const (
	stormTime = 60 * time.Second
	maxNodes  = 8
)

func (st *storm) run(t *testing.T, seed uint64) {
	cfg, nodes := Config{Slots: 16}, 3+int(seed%3)
	if seed%2 == 0 {
		cfg.MaxValue, st.long = 2<<10, true // copies take many pages
	}
	switch {
	case seed%5 == 0:
		cfg.Replicas, nodes = 5, 5+int(seed%2)
	case seed%7 == 0:
		cfg.Replicas = 2
	}
	st.prepare(t, seed, nodes, withChord(t), withConfig(cfg), func(_ *cluster, s *simnet.Config) {
		s.Refuse = seed%4 < 2
		s.CheckCodec = seed%8 == 0
		s.Disk = func(nd *simnet.Node) time.Duration { return time.Duration(nd.Hash(7)%5) * time.Millisecond }
	})
	st.draw()
	st.begin()
	st.net.RunFor(stormTime)
	st.end(30)
}

// prepare makes a cluster of n nodes with full replication, whose clients have not
// begun.
func (st *storm) prepare(t *testing.T, seed uint64, n int, opts ...option) {
	t.Helper()
	st.cluster = newCluster(t, seed, opts...)
	st.spares = true
	st.h = &history{}
	st.chain = map[slotEpoch]*configuration{}
	st.pickKeys()
	st.events = func(nd *simnet.Node, e dht.Event) {
		switch e := e.(type) {
		case Installed:
			m := st.members[nd.Index()]
			st.link(e.Slot, &m.kv.slots[e.Slot].Cfg)
			st.checkSlot(e.Slot)
		case Copied:
			if e.Pages > 1 {
				st.count["copies of several pages"]++
			}
		case Abandoned:
			st.count["copies given up"]++
		}
	}
	for range n {
		st.add()
	}
	st.settle(time.Minute)
}

// pickKeys finds keys so that several share a slot.
func (st *storm) pickKeys() {
	cfg := st.cfg.withDefaults()
	perSlot := map[uint32]int{}
	perSlotMost := 2
	if st.long {
		perSlotMost = 8
	}
	for i := 0; len(st.keys) < 4*perSlotMost; i++ {
		key := fmt.Sprint("k", i)
		slot := cfg.slotOf(cfg.Space.KeyID([]byte(key)))
		if slot%4 == 0 && perSlot[slot] < perSlotMost {
			perSlot[slot]++
			st.keys = append(st.keys, key)
		}
	}
}

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
	if st.damaged || !st.converged() || st.replicas() < 3 || len(st.live()) < 3 {
		st.count["damage"]--
		return
	}
	for _, id := range []uint32{0, 4, 8, 12} {
		for _, p := range st.newestOf(id).Members {
			m := st.member(p)
			if _, last, err := m.disk.Last(id); err == nil && last > 0 && m.disk.Damage(id, last) {
				st.damaged = true
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

// begin starts the clients and the faults.
func (st *storm) begin() {
	for range 6 {
		st.client()
	}
	for _, f := range faults {
		if rate := st.rates[f.name]; rate > 0 {
			st.schedule(f, rate)
		}
	}
	st.inspect()
}

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

// client does one operation after another, each at a random node, for as long as
// the storm lasts. One whose node dies is followed by a new one.
func (st *storm) client() {
	st.clients++
	id := st.clients
	if st.calm {
		return
	}
	m := st.pick()
	kv := m.kv
	if !m.up() || !m.joined {
		st.net.After(st.upTo(time.Second), st.client)
		return
	}
	e := st.next(id)
	env := m.sim.Env()
	over := false
	m.sim.Do("client", func(ctx context.Context) {
		ctx, cancel := env.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		st.operate(ctx, kv, e)
		if !over {
			over = true
			st.net.After(st.upTo(200*time.Millisecond), st.client)
		}
	})
	st.net.After(30*time.Second, func() { // its node died, or stands still
		if !over {
			over = true
			st.client()
		}
	})
}

func (st *storm) next(client int) *event {
	st.values++
	key := st.keys[st.rng.IntN(len(st.keys))]
	op := opGet
	switch r := st.rng.IntN(10); {
	case r < 5:
		op = opPut
	case r < 6:
		op = opDelete
	}
	st.count[op.String()]++
	value := ""
	if op == opPut {
		value = fmt.Sprint("v", st.values)
		if st.long && st.rng.IntN(3) > 0 {
			value += strings.Repeat(".", 1000)
		}
	}
	return st.h.begin(client, op, key, value, st.net.Now())
}

func (st *storm) operate(ctx context.Context, kv *Node, e *event) {
	var w Written
	var item Item
	var err error
	switch e.op {
	case opGet:
		item, _, err = kv.Get(ctx, []byte(e.key))
		e.value, w.Version = string(item.Value), item.Version
	case opPut:
		w, _, err = kv.Put(ctx, []byte(e.key), Put{Value: []byte(e.value)})
	case opDelete:
		w, _, err = kv.Delete(ctx, []byte(e.key))
	}
	if errors.Is(err, dht.ErrClosed) {
		return // the node ended: no answer
	}
	e.end(st.net.Now(), w.Version, w.Existed, err)
}

// end is the calm, in which nothing is wrong any more and every node runs: the
// cluster must converge and all checks hold, and at least minimum operations have
// succeeded.
func (st *storm) end(minimum int) {
	st.t.Helper()
	st.calm = true
	s := st.net.Stats()
	st.count["lost"], st.count["duplicated"], st.count["reordered"] = int(s.Lost), int(s.Duplicated), int(s.Reordered)
	st.count["cut"], st.count["late"] = int(s.Cuts), int(s.Delayed)
	st.net.SetFaults(simnet.Faults{})
	st.net.Heal()
	st.net.Unclog()
	st.net.RunFor(15 * time.Second)
	for _, m := range st.members {
		m.disk.SetFull(false)
		m.busy = 0
		if !m.gone && !m.up() {
			m.restart()
		}
	}
	st.settle(3 * time.Minute)
	st.net.RunFor(5 * time.Second)
	st.finalReads()
	st.checkAll(true)
	st.judge(minimum)
}

// finalReads reads every key through every node.
func (st *storm) finalReads() {
	for _, key := range st.keys {
		for _, m := range st.live() {
			st.clients++
			e := st.h.begin(st.clients, opGet, key, "", st.net.Now())
			m.await(func(ctx context.Context) { st.operate(ctx, m.kv, e) })
			if e.err != nil && !errors.Is(e.err, ErrNotFound) {
				st.t.Errorf("calm: get %s at %s: %v", key, m.sim, e.err)
			}
		}
	}
}

func (st *storm) judge(minimum int) {
	st.t.Helper()
	ok, failed, unknown := st.h.counts()
	st.count["ok"], st.count["failed"], st.count["unknown"] = ok, failed, unknown
	if ok < minimum {
		st.t.Errorf("only %d operations succeeded (%d failed, %d unknown)", ok, failed, unknown)
	}
	if st.fatal > st.count["failed disk"] {
		st.t.Errorf("%d nodes stopped over their disks, of which %d had failed", st.fatal, st.count["failed disk"])
	}
	st.h.check(st.t)
	st.t.Logf("ok %d failed %d unknown %d, %d epochs, %v", ok, failed, unknown, len(st.chain), st.count)
}

// inspect checks the invariants now and then.
func (st *storm) inspect() {
	st.net.After(time.Second, func() {
		st.checkAll(false)
		if !st.calm {
			st.inspect()
		}
	})
}

// link notes a decided configuration: there is one for each epoch of a slot.
func (st *storm) link(slot uint32, c *configuration) {
	at := slotEpoch{Slot: slot, Epoch: c.Epoch}
	if known := st.chain[at]; known == nil {
		decided := c.normal()
		st.chain[at] = &decided
	} else if !known.same(c) {
		st.t.Errorf("%s: slot %d has two configurations of epoch %d: %+v and %+v", st.net.Now(), slot, c.Epoch, known, c)
	}
}

// checkAll checks every slot, and in calm that the copies are equal.
func (st *storm) checkAll(calm bool) {
	for id := range uint32(st.cfg.Slots) {
		st.checkSlot(id)
		if calm {
			st.equal(id)
		}
	}
}

// copyOf is what a node has of a slot on its disk.
type copyOf struct {
	m     *member
	s     *slot
	log   map[uint64]store.Record
	index map[string]uint64
}

// checkSlot checks that there is one chain of configurations, that the logs of any
// two nodes agree, and that an index names nothing but what is committed.
func (st *storm) checkSlot(id uint32) {
	var copies []*copyOf
	for _, m := range st.members {
		if !m.up() {
			continue
		}
		for _, c := range m.kv.named(id) {
			if s := m.kv.slots[id]; c.Epoch > 0 && (s == nil || s.Acc == nil || c != &s.Acc.Value) {
				st.link(id, c)
			}
		}
		if s := m.kv.slots[id]; s != nil && s.Tag > 0 && !s.Dirty && !s.corrupt && !st.damaged {
			copies = append(copies, st.read(m, s))
		}
	}
	for i, a := range copies {
		for _, b := range copies[:i] {
			st.agree(a, b)
			st.superseded(a, b, copies)
			st.superseded(b, a, copies)
		}
	}
}

func (st *storm) read(m *member, s *slot) *copyOf {
	c := &copyOf{m, s, map[uint64]store.Record{}, map[string]uint64{}}
	for rec, err := range m.disk.Log(s.id, 1, s.last) {
		if err != nil {
			st.t.Errorf("log of %s: %v", m.sim, err)
			break
		}
		c.log[rec.Seq] = rec
	}
	for e, err := range m.disk.Keys(s.id, nil) {
		if err != nil || e.Seq > s.Com {
			st.t.Errorf("%s: slot %d: the index of %s names version %d, %d is committed (%v)", st.net.Now(), s.id, m.sim, e.Seq, s.Com, err)
		}
		c.index[string(e.Key)] = e.Seq
	}
	if s.Com > s.last {
		st.t.Errorf("%s: slot %d: %s has committed %d of %d", st.net.Now(), s.id, m.sim, s.Com, s.last)
	}
	return c
}

// agree compares what two nodes have of one epoch's sequence, and of what both know
// to be committed in whatever epoch.
func (st *storm) agree(a, b *copyOf) {
	upTo := min(a.s.last, b.s.last)
	if a.s.Tag != b.s.Tag {
		upTo = min(a.s.Com, b.s.Com)
	}
	for seq, r := range a.log {
		if other, both := b.log[seq]; both && seq <= upTo && !sameRecord(&r, &other) {
			st.t.Errorf("%s: slot %d: %s (epoch %d) and %s (epoch %d) differ at version %d: %q=%q and %q=%q", st.net.Now(), a.s.id,
				a.m.sim, a.s.Tag, b.m.sim, b.s.Tag, seq, r.Key, r.Value, other.Key, other.Value)
		}
	}
}

// superseded checks that what b lacks of a's log was replaced by a later record of
// the key, which b has as well if its log goes that far. Whether that one is
// committed, only a primary may know that has died since; in calm all know.
func (st *storm) superseded(a, b *copyOf, all []*copyOf) {
	upTo := min(a.s.last, b.s.last)
	if a.s.Tag != b.s.Tag {
		upTo = min(a.s.Com, b.s.Com)
	}
	for seq, r := range a.log {
		if _, both := b.log[seq]; both || seq > upTo {
			continue
		}
		best := uint64(0)
		for _, c := range all {
			best = max(best, c.index[string(r.Key)])
			for later, other := range c.log {
				if later > best && c.s.Tag >= b.s.Tag && bytes.Equal(other.Key, r.Key) {
					best = later
				}
			}
		}
		if _, has := b.log[best]; best <= seq || b.s.Tag == a.s.Tag && best <= b.s.last && !has && b.index[string(r.Key)] <= seq {
			st.t.Errorf("%s: slot %d: %s (epoch %d) lacks version %d of %q that %s (epoch %d) has; committed is version %d", st.net.Now(), a.s.id,
				b.m.sim, b.s.Tag, seq, r.Key, a.m.sim, a.s.Tag, best)
		}
	}
}

func sameRecord(a, b *store.Record) bool {
	return a.Epoch == b.Epoch && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value) && a.Deleted == b.Deleted && bytes.Equal(a.Request, b.Request)
}

// equal checks that the members of a slot have the same committed values.
func (st *storm) equal(id uint32) {
	var first *member
	for _, p := range st.newestOf(id).Members {
		m := st.member(p)
		s := m.kv.slots[id]
		if s.Com != s.last {
			st.t.Errorf("slot %d: %s knows of commits up to %d of %d", id, m.sim, s.Com, s.last)
		}
		if first == nil {
			first = m
			continue
		}
		for _, key := range st.keys {
			a, errA := first.disk.Lookup(id, []byte(key))
			b, errB := m.disk.Lookup(id, []byte(key))
			if errors.Is(errA, store.ErrNotFound) != errors.Is(errB, store.ErrNotFound) || a.Seq != b.Seq || !bytes.Equal(a.Value, b.Value) {
				st.t.Errorf("slot %d key %s: %s has version %d (%v), %s has %d (%v)", id, key, first.sim, a.Seq, errA, m.sim, b.Seq, errB)
			}
		}
	}
}
