package chord

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"dyschord/dht"
)

// What one lookup has found replaces all that the table knew between the start of
// the finger and the node found: whatever a table held before, one pass makes it what
// full knowledge gives.
func TestOnePassMakesTheTableRight(t *testing.T) {
	space := dht.Space{Bits: 16}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		members := crowd(rng, 2+rng.IntN(60))
		self := members[rng.IntN(len(members))].ID
		table := stale(space, rng, self)
		lookups := 0
		for i := 0; i < 16; lookups++ {
			p := successorOf(members, start(space, self, i))
			if space.Sub(p.ID, self).Less(space.Pow2(uint(i))) {
				table = slices.DeleteFunc(table, func(q dht.Peer) bool { return octave(space, self, q.ID) >= i })
				break
			}
			table = table.set(space, self, i, p)
			i = octave(space, self, p.ID) + 1
		}
		for i := range 16 {
			want := successorOf(members, start(space, self, i))
			got, ok := table.finger(space, self, i)
			if past := space.Sub(want.ID, self).Less(space.Pow2(uint(i))); ok == past || ok && got != want {
				t.Fatalf("finger %d of %s among %v is %v (%v), want %v", i, self, members, got, ok, want)
			}
		}
		if lookups > len(table)+1 {
			t.Fatalf("%d lookups for %d distinct fingers", lookups, len(table))
		}
	}
}

func crowd(rng *rand.Rand, n int) []dht.Peer {
	var out []dht.Peer
	for range n {
		id := rng.Uint64N(1 << 16)
		out = append(out, dht.Peer{ID: dht.NewID(0, id), Ref: uint32(id) + 1})
	}
	slices.SortFunc(out, func(a, b dht.Peer) int { return a.ID.Cmp(b.ID) })
	return slices.Compact(out)
}

// stale is a table of nodes that may be gone: one for some of the octaves.
func stale(space dht.Space, rng *rand.Rand, self dht.ID) fingers {
	var out fingers
	for i := range uint(16) {
		if rng.IntN(2) == 0 {
			id := space.Add(self, dht.NewID(0, 1<<i+rng.Uint64N(1<<i)))
			out = append(out, dht.Peer{ID: id, Ref: uint32(id.Lo()) + 1<<20})
		}
	}
	return out
}

// A prefilled table is the same as one that was looked up, less what the successor
// list reaches.
func TestPrefilledTable(t *testing.T) {
	space := dht.Space{Bits: 16}
	rng := rand.New(rand.NewPCG(2, 2))
	for range 200 {
		members := crowd(rng, 12+rng.IntN(60))
		at := rng.IntN(len(members))
		self := members[at]
		var succ []dht.Peer
		for i := range 4 {
			succ = append(succ, members[(at+1+i)%len(members)])
		}
		var table fingers
		table.prefill(space, self, succ, members)
		first := firstFinger(space, self.ID, succ)
		for i := first; i < 16; i++ {
			want := successorOf(members, start(space, self.ID, i))
			got, ok := table.finger(space, self.ID, i)
			if past := space.Sub(want.ID, self.ID).Less(space.Pow2(uint(i))); ok == past || ok && got != want {
				t.Fatalf("finger %d of %s is %v (%v), want %v", i, self, got, ok, want)
			}
		}
		for i, p := range table {
			if octave(space, self.ID, p.ID) < first || i > 0 && octave(space, self.ID, p.ID) <= octave(space, self.ID, table[i-1].ID) {
				t.Fatalf("the table of %s holds %v, which the successor list serves for or another finger", self, p)
			}
		}
	}
}

// A sample may name a few peers, all of the interval that was asked for; else the node
// that gave it is not believed.
func TestSamplesAreChecked(t *testing.T) {
	n := &Node{cfg: &settings{space: dht.Space{Bits: 8}}}
	ask := &sample{From: dht.NewID(0, 240), To: dht.NewID(0, 16)}
	peer := func(id uint64) dht.Peer { return dht.Peer{ID: dht.NewID(0, id), Ref: uint32(id) + 1} }
	for _, c := range []struct {
		peers []dht.Peer
		ok    bool
	}{
		{nil, true},
		{[]dht.Peer{peer(240), peer(255), peer(0), peer(15)}, true},
		{[]dht.Peer{peer(239)}, false},
		{[]dht.Peer{peer(250), peer(16)}, false},
		{[]dht.Peer{{}}, false},
		{[]dht.Peer{peer(241), peer(242), peer(243), peer(244), peer(245)}, false},
	} {
		_, err := n.sampledBy(ask, dht.Result{Msg: &sampled{Peers: c.peers}})
		if c.ok != (err == nil) || !c.ok && !errors.Is(err, dht.ErrMalformed) {
			t.Errorf("a sample of %v for [%s, %s): %v", c.peers, ask.From, ask.To, err)
		}
	}
	if _, err := n.sampledBy(ask, dht.Result{Msg: &sample{}}); !errors.Is(err, dht.ErrMalformed) {
		t.Errorf("an answer of another kind: %v", err)
	}
	if _, err := n.sampledBy(ask, dht.Result{Err: dht.ErrTimeout}); !errors.Is(err, dht.ErrTimeout) {
		t.Errorf("no answer: %v", err)
	}
}

func TestTheNearestCandidateWins(t *testing.T) {
	var best candidate
	for _, c := range []struct {
		ref  uint32
		rtt  time.Duration
		want uint32
	}{{1, 80, 1}, {2, 71, 1}, {3, 69, 3}, {4, 200, 3}, {5, 10, 5}} {
		best.consider(dht.Peer{Ref: c.ref}, c.rtt*time.Millisecond)
		if best.Ref != c.want {
			t.Errorf("after peer %d with %d ms the best is %d, want %d", c.ref, c.rtt, best.Ref, c.want)
		}
	}
}
