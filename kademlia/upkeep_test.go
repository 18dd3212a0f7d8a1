package kademlia

import (
	"slices"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/dht/dhttest"
	"dyschord/net/simnet"
)

// large is a prefilled world of n nodes in 128 bits.
func large(t *testing.T, cfg Config, seed uint64, n int) *world {
	factory, err := Factory(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{dhttest.NewCluster(t, simnet.Config{Seed: seed}, factory, dht.Closest), t}
	w.Prefill(n)
	return w
}

// state is what is right and wrong in the tables of a world.
type state struct {
	siblings, wrongSiblings int
	entries, dead           int
	room                    int // free places in buckets, for which there are live nodes
}

func (w *world) state() state {
	var s state
	live := w.Live()
	for _, m := range live {
		n := m.Overlay.(*Node)
		want := w.Owners(m.Peer().ID, 1+n.cfg.Siblings)[1:]
		for i, p := range want {
			s.siblings++
			if i >= len(n.table.siblings) || n.table.siblings[i] != p {
				s.wrongSiblings++
			}
		}
		for i := range n.table.depth() {
			for _, p := range n.table.bucket(i) {
				s.entries++
				if !w.Net.Lookup(p.Ref).Alive() {
					s.dead++
				}
			}
			s.room += w.room(n, i, live)
		}
	}
	return s
}

// room counts the free places of bucket i of n for which there are live nodes.
func (w *world) room(n *Node, i int, live []*dhttest.Member) int {
	held := len(n.table.bucket(i))
	there := 0
	for _, m := range live {
		sibling := slices.ContainsFunc(n.table.siblings, m.Peer().Same)
		if !sibling && n.table.prefix(m.Peer().ID, n.table.self.ID) == i {
			there++
		}
	}
	return max(0, min(n.cfg.K, there)-held)
}

// With no lookups at all, siblings are right soon after a tenth of the nodes died at
// once, and in time the dead leave the buckets and their places are taken.
func TestUpkeepMakesTablesRight(t *testing.T) {
	w := large(t, Config{K: 8, Siblings: 8}, 1, 150)
	before := w.state()
	if before.wrongSiblings+before.dead+before.room > 0 || before.entries == 0 {
		t.Fatalf("full knowledge gives %+v", before)
	}
	for i := range 15 {
		w.Crash(w.Members[10*i+3])
	}
	w.Net.RunFor(25 * time.Second)
	if s := w.state(); s.wrongSiblings > 0 {
		t.Errorf("25 s after the deaths: %+v", s)
	}
	w.Net.RunFor(5 * time.Minute)
	if s := w.state(); s.wrongSiblings > 0 || s.dead > s.entries/100 || s.room > s.entries/50 {
		t.Errorf("5 min after the deaths: %+v", s)
	}
}

// Nodes that join one after another end up with right siblings and with buckets as full
// as they can be.
func TestJoinFillsTables(t *testing.T) {
	factory, err := Factory(Config{K: 8, Siblings: 8})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{dhttest.NewCluster(t, simnet.Config{Seed: 2}, factory, dht.Closest), t}
	w.Grow(100)
	w.Net.RunFor(10 * time.Second)
	if s := w.state(); s.wrongSiblings > 0 {
		t.Errorf("10 s after the last join: %+v", s)
	}
	w.Net.RunFor(3 * time.Minute)
	if s := w.state(); s.wrongSiblings > 0 || s.room > s.entries/50 {
		t.Errorf("3 min after the last join: %+v", s)
	}
	first := w.Members[0].Overlay.(*Node)
	if first.agreed < len(first.table.siblings) || first.table.cover == 0 {
		t.Errorf("the first node is still asking: %d of %d siblings agree", first.agreed, len(first.table.siblings))
	}
}

// A quiet node sends a request each second to a sibling, and one every two seconds to
// its buckets; and nobody is named in the answers.
func TestQuietOverlayIsCheap(t *testing.T) {
	w := large(t, Config{}, 3, 200)
	w.Net.RunFor(10 * time.Second)
	before, _ := w.pings()
	rate := w.RequestRate(100 * time.Second)
	t.Logf("%.2f requests per node and second", rate)
	if pings, _ := w.pings(); rate > 1.6 || pings-before > 200 {
		t.Errorf("%.2f requests per node and second, and %d pings", rate, pings-before)
	}
	for _, m := range w.Members {
		n := m.Overlay.(*Node)
		a := w.Members[n.table.siblings[0].Ref-1].Overlay.(*Node).table.answer(m.Peer(), n.question())
		if len(a) > 3 {
			t.Fatalf("%s is told of %v in a quiet overlay", m, a)
		}
	}
}

// A node whose bucket is empty learns of somebody for it from the first sibling it
// asks: both have the same nodes in that range.
func TestEmptyBucketIsFilledByASibling(t *testing.T) {
	w := perfect(t, Config{Siblings: 2, Refresh: 10_000}, 0x00, 0x01, 0x02, 0x03, 0x80)
	n := w.node(0x00)
	n.table.set(0, nil)
	if got := n.table.empty(); got != dht.NewID(0, 0b11_1111) { // 6 has node 3, and siblings
		t.Fatalf("the empty buckets are %b", got.Lo())
	}
	if !w.Run(3*time.Second, func() bool { return w.holds(0x00, 0x80) }) {
		t.Errorf("bucket 0 is still empty; the siblings are %v", n.Siblings())
	}
}

// A death is known to all siblings within seconds: who finds it tells the others, who
// ping before they believe.
func TestDeathSpreads(t *testing.T) {
	w := large(t, Config{}, 4, 21)
	w.Net.RunFor(30 * time.Second)
	victim := w.Members[7]
	w.Crash(victim)
	began := w.Net.Now()
	gone := func() bool {
		return !slices.ContainsFunc(w.Live(), func(m *dhttest.Member) bool {
			_, held := m.Overlay.(*Node).table.find(victim.Peer())
			return held
		})
	}
	if !w.Run(20*time.Second, gone) {
		t.Fatal("20 s after a death somebody holds the dead")
	}
	took := w.Net.Now() - began
	t.Logf("the last of 20 siblings knew after %v", took)
	if took > 12*time.Second {
		t.Errorf("the last of 20 siblings knew after %v", took)
	}
}

// A node whose neighbours have all been lost finds them again by itself, and two parts
// that have forgotten each other become one again.
func TestPartsFindEachOther(t *testing.T) {
	w := large(t, Config{}, 5, 30)
	alone := w.Members[4]
	w.Net.Partition([]*simnet.Node{alone.Node})
	w.Net.RunFor(3 * time.Minute)
	n := alone.Overlay.(*Node)
	if len(n.Siblings()) > 0 || len(n.lost) != 29 {
		t.Fatalf("a node cut off holds %d siblings and remembers %d lost peers", len(n.Siblings()), len(n.lost))
	}
	if _, sure := n.Near(alone.Peer().ID, 3); !sure {
		t.Error("a node that has been alone for long is not sure of it")
	}
	w.Net.Heal()
	w.Net.RunFor(30 * time.Second)
	if s := w.state(); s.wrongSiblings > 0 {
		t.Errorf("30 s after the partition healed: %+v", s)
	}
}

// Random identifiers of a bucket's range are in it.
func TestRefreshedRangesAreTheBuckets(t *testing.T) {
	for _, bits := range []int{4, 64, 65, 128} {
		factory, err := Factory(Config{Space: dht.Space{Bits: bits}})
		if err != nil {
			t.Fatal(err)
		}
		c := dhttest.NewCluster(t, simnet.Config{Space: dht.Space{Bits: bits}}, factory, dht.Closest)
		c.Prefill(3)
		n := c.Members[1].Overlay.(*Node)
		for i := range bits {
			if id := n.inBucket(i); n.table.prefix(n.table.self.ID, id) != i || !n.cfg.Space.Contains(id) {
				t.Errorf("%s is not in bucket %d of %s, of %d bits", id, i, n.table.self, bits)
			}
		}
	}
}
