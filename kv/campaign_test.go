package kv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
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
//	KV_SEED   run this one alone
//	KV_LOG    log level of the nodes
func TestStormThenCalm(t *testing.T) {
	seeds, first := 100, uint64(1)
	if testing.Short() {
		seeds = 10
	}
	if text := os.Getenv("KV_SEEDS"); text != "" {
		seeds, _ = strconv.Atoi(text)
	}
	if text := os.Getenv("KV_SEED"); text != "" {
		seeds = 1
		first, _ = strconv.ParseUint(text, 10, 64)
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
	if seeds < 10 || t.Failed() {
		return
	}
	for _, what := range []string{
		"crash", "restart", "crash all", "partition", "one way", "pause", "clog", "join", "leave", "clock", "full disk",
		"lost", "duplicated", "reordered", "put", "get", "delete",
	} {
		if total[what] == 0 {
			t.Errorf("%q never happened: the campaign proves less than it says", what)
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
	values  int
	clients int
	chain   map[slotEpoch]*configuration
	cut     func(from, to *simnet.Node) bool
}

const (
	stormTime = 60 * time.Second
	maxNodes  = 8
)

func (st *storm) run(t *testing.T, seed uint64) {
	st.prepare(t, seed, 3+int(seed%3), withChord(t), func(_ *cluster, s *simnet.Config) {
		s.Refuse = seed%2 == 0
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
	st.h = &history{}
	st.chain = map[slotEpoch]*configuration{}
	st.pickKeys()
	st.events = func(nd *simnet.Node, e dht.Event) {
		if in, ok := e.(Installed); ok {
			m := st.members[nd.Index()]
			st.link(in.Slot, &m.kv.slots[in.Slot].Cfg)
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
	for i := 0; len(st.keys) < 8; i++ {
		key := fmt.Sprint("k", i)
		slot := cfg.slotOf(cfg.Space.KeyID([]byte(key)))
		if slot%4 == 0 && perSlot[slot] < 2 {
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
		Loss: maybe(0.3) * maybe(1), Duplicate: maybe(0.5),
		Jitter: time.Duration(maybe(float64(50 * time.Millisecond))), Reorder: maybe(0.2), ReorderBy: time.Second,
	}
	if st.rng.IntN(8) == 0 {
		f.ReorderBy = 10 * time.Second
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
	st.net.SetFaults(simnet.Faults{})
	st.net.Heal()
	st.net.Unclog()
	st.net.RunFor(15 * time.Second)
	for _, m := range st.members {
		m.disk.SetFull(false)
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
	if st.fatal > 0 {
		st.t.Errorf("%d nodes stopped over their disks", st.fatal)
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

// checkAll checks that there is one chain for each slot, and that the logs of any
// two nodes agree on their common prefix. In calm they are equal.
func (st *storm) checkAll(calm bool) {
	for id := range uint32(st.cfg.Slots) {
		var of []*member
		for _, m := range st.members {
			if !m.up() {
				continue
			}
			for _, c := range m.kv.named(id) {
				if s := m.kv.slots[id]; c.Epoch > 0 && (s == nil || s.Acc == nil || c != &s.Acc.Value) {
					st.link(id, c)
				}
			}
			if s := m.kv.slots[id]; s != nil && s.Tag > 0 && !s.Dirty {
				of = append(of, m)
			}
		}
		for i, a := range of {
			for _, b := range of[:i] {
				if x, y := a.kv.slots[id], b.kv.slots[id]; x.Tag == y.Tag {
					st.agree(a, b, x, y)
				}
			}
		}
		if calm {
			st.equal(id)
		}
	}
}

// agree compares what two nodes have of one epoch's sequence.
func (st *storm) agree(a, b *member, x, y *slot) {
	upTo := min(x.last, y.last)
	logs := [2]map[uint64]store.Record{{}, {}}
	for i, m := range []*member{a, b} {
		for rec, err := range m.disk.Log(x.id, 1, upTo) {
			if err != nil {
				st.t.Errorf("log of %s: %v", m.sim, err)
				return
			}
			logs[i][rec.Seq] = rec
		}
	}
	for seq, r := range logs[0] {
		if other, both := logs[1][seq]; both && !sameRecord(&r, &other) {
			st.t.Errorf("%s: slot %d epoch %d: %s and %s differ at version %d: %q=%q and %q=%q", st.net.Now(), x.id, x.Tag, a.sim, b.sim, seq, r.Key, r.Value, other.Key, other.Value)
		}
	}
	st.superseded(a, b, x, logs[0], logs[1])
	st.superseded(b, a, y, logs[1], logs[0])
}

// superseded checks that what b lacks of a's log was replaced by a later record.
func (st *storm) superseded(a, b *member, x *slot, mine, theirs map[uint64]store.Record) {
	for seq, r := range mine {
		if _, both := theirs[seq]; both {
			continue
		}
		found := false
		_, end, _ := b.disk.Last(x.id)
		for later, err := range b.disk.Log(x.id, seq+1, end) {
			found = found || err == nil && bytes.Equal(later.Key, r.Key)
		}
		for later, err := range a.disk.Log(x.id, seq+1, x.last) {
			found = found || err == nil && bytes.Equal(later.Key, r.Key)
		}
		if !found {
			st.t.Errorf("%s: slot %d epoch %d: %s lacks version %d of %q that %s has", st.net.Now(), x.id, x.Tag, b.sim, seq, r.Key, a.sim)
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
