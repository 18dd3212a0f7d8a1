package koorde_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/dht/dhttest"
	"dyschord/dht/lookup"
	"dyschord/koorde"
	"dyschord/net/simnet"
)

func cluster(t testing.TB, world simnet.Config, cfg koorde.Config) *dhttest.Cluster {
	t.Helper()
	cfg.Space = world.Space
	factory, err := koorde.Factory(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return dhttest.NewCluster(t, world, factory, dht.Successors)
}

// All pointers become what full knowledge would put there: after joins, after crashes,
// and again after further joins. So the dead leave and the living stay.
func TestPointersConverge(t *testing.T) {
	c := cluster(t, simnet.Config{Seed: 2}, koorde.Config{})
	c.Grow(120)
	c.Run(3*time.Minute, nil)
	expectPerfect(t, c, "joins")
	for i := range 30 {
		c.Crash(c.Members[4*i+1])
	}
	c.Run(3*time.Minute, nil)
	expectPerfect(t, c, "crashes")
	for range 40 {
		c.Add(c.Members[0])
	}
	c.Run(3*time.Minute, nil)
	expectPerfect(t, c, "further joins")
}

// expectPerfect compares all pointers with those of a cluster that was given full
// knowledge.
func expectPerfect(t *testing.T, c *dhttest.Cluster, after string) {
	t.Helper()
	wrong, all := 0, 0
	members := peersOf(c)
	factory, err := koorde.Factory(koorde.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range c.Live() {
		got, _ := m.Overlay.(*koorde.Node).Pointers()
		ideal := factory(m.Env())
		ideal.(dht.Prefiller).Prefill(members)
		want, _ := ideal.(*koorde.Node).Pointers()
		all++
		if !slices.Equal(got, want) {
			wrong++
		}
	}
	if wrong > 0 || all < 90 {
		t.Errorf("after %s, %d of %d nodes have other pointers than full knowledge gives", after, wrong, all)
	}
}

// A node that has just joined has pointers: its predecessor's, which may end before
// its own place. A few looks later it has its own.
func TestJoinBorrowsPointers(t *testing.T) {
	c := cluster(t, simnet.Config{Seed: 3}, koorde.Config{})
	c.Prefill(200)
	for i := range 20 {
		m := c.Add(c.Members[7*i])
		if !c.Run(time.Minute, func() bool { return m.Joined }) {
			t.Fatal("it did not join")
		}
		if list, anchor := m.Overlay.(*koorde.Node).Pointers(); len(list) < 5 || anchor < 0 {
			t.Errorf("it begins with %d pointers, the anchor at place %d", len(list), anchor)
		}
		c.Run(5*time.Second, nil)
		if list, anchor := m.Overlay.(*koorde.Node).Pointers(); len(list) != 36 || anchor != 4 {
			t.Errorf("after five seconds it has %d pointers, the anchor at place %d", len(list), anchor)
		}
	}
}

// A crowd of ten times as many nodes joins at once: it gets in, and two minutes later
// its pointers are right, though all that it could borrow was soon in the wrong place.
func TestCrowdJoinsAtOnce(t *testing.T) {
	c := cluster(t, simnet.Config{Seed: 9}, koorde.Config{})
	c.Prefill(30)
	for i := range 300 {
		c.Add(c.Members[i%30], c.Members[(i+11)%30])
	}
	c.Converge(2 * time.Minute)
	c.Run(2*time.Minute, nil)
	expectPerfect(t, c, "the crowd")
}

// A quiet ring costs a node about one request per second, its pointers' upkeep
// included.
func TestQuietRingIsCheap(t *testing.T) {
	c := cluster(t, simnet.Config{Seed: 5}, koorde.Config{})
	c.Prefill(100)
	c.Net.RunFor(10 * time.Second)
	seeks := c.Delivered("find")
	rate := c.RequestRate(100 * time.Second)
	t.Logf("%.2f requests per node and second", rate)
	if rate < 1 || rate > 1.1 {
		t.Errorf("%.2f requests per node and second, want one for the ring and a tenth for the pointers", rate)
	}
	if n := c.Delivered("find") - seeks; n > 0 {
		t.Errorf("%d requests of lookups in a quiet ring", n)
	}
}

func TestConfigRefuses(t *testing.T) {
	for want, cfg := range map[string]koorde.Config{
		"koorde.degree 3: a power of two from 2 to 64 is": {Degree: 3},
		"koorde.degree 128":        {Degree: 128},
		"koorde.degree 1:":         {Degree: 1},
		"koorde.pointers 15: 16":   {Pointers: 15},
		"koorde.pointers 121":      {Pointers: 121},
		"koorde.successors 33":     {Successors: 33},
		"koorde.stabilize 1ms":     {Stabilize: time.Millisecond},
		"koorde.refresh -1":        {Refresh: -1},
		"koorde.tries 11":          {Tries: 11},
		"koorde.heal_every 100000": {HealEvery: 100000},
		"lookup.alpha 17":          {Lookup: lookup.Config{Alpha: 17}},
		"identifier width":         {Space: dht.Space{Bits: 3}},
	} {
		_, err := koorde.Factory(cfg)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "allowed") {
			t.Errorf("%+v: the error is %v, which does not say %q and what is allowed", cfg, err, want)
		}
	}
	for _, degree := range []int{2, 4, 8, 16, 32, 64} {
		if _, err := koorde.Factory(koorde.Config{Degree: degree}); err != nil {
			t.Errorf("degree %d: %v", degree, err)
		}
	}
}

func TestTableShowsRingAndPointers(t *testing.T) {
	c := cluster(t, simnet.Config{Seed: 7, Space: dht.Space{Bits: 32}}, koorde.Config{})
	c.Prefill(200)
	m := c.Members[0]
	table := m.Overlay.Table()
	if table.Algorithm != "koorde" || table.Self != m.Peer() || len(table.Sections) != 3 {
		t.Fatalf("%+v", table)
	}
	for i, want := range []int{1, 8, 36} {
		s := table.Sections[i]
		if len(s.Entries) != want {
			t.Errorf("section %q has %d entries, not %d", s.Name, len(s.Entries), want)
		}
	}
	image := fmt.Sprintf("pointers around 16·m = %08x", 16*m.Peer().ID.Lo()&(1<<32-1))
	pointers := table.Sections[2]
	if pointers.Name != image || pointers.Entries[4].Label != "anchor" || pointers.Entries[0].Label != "backup 4 before the anchor" ||
		pointers.Entries[35].Label != "pointer 31 after the anchor" {
		t.Errorf("%q (want %q): %v", pointers.Name, image, pointers.Entries)
	}
}

// A suspicion makes a node probe what it holds, and nobody else.
func TestSuspicionOfStrangersIsIgnored(t *testing.T) {
	c := cluster(t, simnet.Config{Seed: 8, Space: dht.Space{Bits: 32}}, koorde.Config{Successors: 2})
	c.Prefill(100)
	stranger := c.PrefillID(12345)
	accused := c.Members[3].Overlay.(*koorde.Node)
	list, _ := accused.Pointers()
	pings := func(p dht.Peer) uint64 {
		before := c.Delivered("ring_ping")
		c.Accuse(c.Members[0], c.Members[3], p)
		return c.Delivered("ring_ping") - before
	}
	if n := pings(list[3]); n != 1 {
		t.Errorf("%d pings after a suspicion of a pointer", n)
	}
	if n := pings(stranger.Peer()); n != 0 {
		t.Errorf("%d pings after a suspicion of a stranger", n)
	}
}

// One successor is enough: a node without pointers that lead on hands the walk to it.
func TestOneSuccessorIsEnough(t *testing.T) {
	for _, cfg := range []koorde.Config{{Degree: 2, Pointers: 2}, {Degree: 2, Pointers: 4}, {Degree: 16}} {
		cfg.Successors = 1
		c := cluster(t, simnet.Config{Seed: 1, Space: dht.Space{Bits: 4}}, cfg)
		first := c.AddID(0)
		c.Run(time.Second, nil)
		for id := uint64(2); id < 16; id += 2 {
			c.AddID(id, first)
			c.Run(time.Second, nil)
		}
		c.Run(3*time.Minute, nil)
		for _, m := range c.Members {
			for key := range uint64(16) {
				id := dht.NewID(0, key)
				route, err := c.Lookup(m, id, 1)
				if err != nil || route.Owners[0] != c.Owners(id, 1)[0] {
					t.Fatalf("degree %d, %d pointers: %s finds %v for %d (%v)", cfg.Degree, cfg.Pointers, m, route.Owners, key, err)
				}
			}
		}
	}
}
