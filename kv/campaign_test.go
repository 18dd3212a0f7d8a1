package kv

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/net/simnet"
)

// The campaign runs many clusters, each on one of the algorithms and with faults of
// its own drawn from its seed, under load, and then in calm. Settings, as environment
// variables:
//
//	KV_SEEDS      how many seeds, spread over the algorithms (default 100; with -short 10)
//	KV_SEED       run this one alone, or KV_SEEDS from this one on
//	KV_ALGORITHM  run all on this algorithm
//	KV_LOG        log level of the nodes
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
			algorithm := ofSeed(t, seed)
			t.Run(fmt.Sprintf("%s/%d", algorithm, seed), func(t *testing.T) {
				t.Parallel()
				st.run(t, algorithm, seed)
				t.Cleanup(func() {
					if t.Failed() {
						t.Logf("again: KV_ALGORITHM=%s KV_SEED=%d go test ./kv -run TestStormThenCalm", algorithm, seed)
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
		if total[what] < seeds/20 {
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
	damaged *rot // nil: none yet
	values  int
	clients int
	chain   map[slotEpoch]*configuration
}

// rot is a record that was damaged on a disk.
type rot struct {
	m    *member
	slot uint32
}

const (
	stormTime = 60 * time.Second
	maxNodes  = 8
)

func (st *storm) run(t *testing.T, algorithm string, seed uint64) {
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
	overlay := on(t, algorithm)
	if seed%11 < 4 {
		overlay = configured(t, algorithm, narrow(cfg.withDefaults().Replicas))
	}
	st.prepare(t, seed, nodes, overlay, withConfig(cfg), func(_ *cluster, s *simnet.Config) {
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
	st.until("that every slot is where the overlay wants it", 3*time.Minute, st.every(100*time.Millisecond, st.placed))
	st.settle(time.Minute)
	st.net.RunFor(5 * time.Second)
	st.finalReads()
	st.checkAll(true)
	st.judge(minimum)
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
