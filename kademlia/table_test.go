package kademlia

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dyschord/dht"
)

// crowd are peers with distinct identifiers in a space of that width.
func crowd(rng *rand.Rand, bits, n int) []dht.Peer {
	var out []dht.Peer
	for ref := range uint32(n) {
		id := dht.NewID(0, rng.Uint64N(1<<bits))
		if !slices.ContainsFunc(out, func(p dht.Peer) bool { return p.ID == id }) {
			out = append(out, dht.Peer{ID: id, Ref: ref + 1, Inc: 1})
		}
	}
	slices.SortFunc(out, func(a, b dht.Peer) int { return a.ID.Cmp(b.ID) })
	return out
}

func resolved(t interface{ Fatal(...any) }, cfg Config) *settings {
	set, err := cfg.resolve()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// Whatever comes and goes: siblings are the closest of all that is held, in order;
// buckets hold at most k peers of their own range, nobody twice, and nobody while
// there is room among the siblings; the replacement cache is bounded.
func TestTableHoldsItsInvariants(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := resolved(t, Config{
			Space: dht.Space{Bits: 8}, K: rapid.IntRange(1, 5).Draw(rt, "k"), Siblings: rapid.IntRange(1, 6).Draw(rt, "siblings"),
			Proximity: rapid.Bool().Draw(rt, "proximity"),
		})
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		peers := crowd(rng, 8, 60)
		table := newTable(cfg, peers[0])
		for range 200 {
			p := peers[rng.IntN(len(peers))]
			switch rng.IntN(4) {
			case 0:
				table.remove(p)
			case 1:
				table.shelve(p)
			case 2:
				table.touch(p)
			default:
				p.Inc = 1 + rng.Uint32N(3)
				table.enter(p, time.Duration(rng.IntN(1000)))
				if held, ok := table.find(p); ok && held != p {
					rt.Fatalf("%s was entered in incarnation %d and is held in %d", p, p.Inc, held.Inc)
				}
			}
			table.check(rt)
		}
	})
}

// check fails a test that finds the table out of order.
func (t *table) check(fail interface{ Fatalf(string, ...any) }) {
	seen := map[uint32]bool{t.self.Ref: true}
	var last, far dht.ID
	for _, p := range t.siblings {
		if d := t.distance(p); !last.Less(d) || seen[p.Ref] {
			fail.Fatalf("the siblings %v of %s are out of order", t.siblings, t.self)
		}
		seen[p.Ref], last = true, t.distance(p)
	}
	far = last
	for i, b := range t.buckets {
		if len(t.siblings) < t.cfg.Siblings || len(b) > t.cfg.K {
			fail.Fatalf("bucket %d holds %d peers, with %d siblings", i, len(b), len(t.siblings))
		}
		for _, p := range b {
			if t.prefix(t.self.ID, p.ID) != i || !far.Less(t.distance(p)) || seen[p.Ref] {
				fail.Fatalf("%s does not belong into bucket %d of %s, whose siblings are %v", p, i, t.self, t.siblings)
			}
			seen[p.Ref] = true
		}
	}
	if n := len(t.buckets); n > 0 && len(t.buckets[n-1]) == 0 {
		fail.Fatalf("the last bucket is empty")
	}
	for _, p := range t.spare {
		if len(t.spares(t.prefix(t.self.ID, p.ID))) > maxSpare || seen[p.Ref] {
			fail.Fatalf("the replacement cache is %v", t.spare)
		}
		seen[p.Ref] = true
	}
	if len(t.rtts) > len(seen) {
		fail.Fatalf("%d round trips to %d peers are remembered", len(t.rtts), len(seen))
	}
}

// A ranking is what sorting all that is held gives.
func TestClosestIsASortByDistance(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := resolved(t, Config{
			Space: dht.Space{Bits: 8}, K: rapid.IntRange(1, 8).Draw(rt, "k"), Siblings: rapid.IntRange(1, 8).Draw(rt, "siblings"),
		})
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		peers := crowd(rng, 8, 1+rng.IntN(120))
		table := newTable(cfg, peers[0])
		for _, p := range peers {
			table.enter(p, 0)
		}
		all := []dht.Peer{table.self}
		table.peers(func(p dht.Peer) bool {
			if !slices.Contains(table.spare, p) {
				all = append(all, p)
			}
			return true
		})
		slices.SortFunc(all, func(a, b dht.Peer) int { return a.ID.Cmp(b.ID) })
		for range 20 {
			key, n := dht.NewID(0, rng.Uint64N(256)), 1+rng.IntN(dht.MaxOwners+2)
			got := table.closest(key, n)
			if want := dht.Closest(all, key, n); !slices.Equal(got.peers(n), want) {
				rt.Fatalf("the %d closest to %s among %v are %v, not %v", n, key, all, got.peers(n), want)
			}
		}
	})
}

// A sure answer is right, whoever else there is: tables of full knowledge are sure of
// nothing that lies beyond them, and of their own neighbourhood nearly always.
func TestSureIsRight(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	own, sure := 0, 0
	for range 300 {
		cfg := resolved(t, Config{Space: dht.Space{Bits: 16}, K: 4, Siblings: 8})
		peers := crowd(rng, 16, 2+rng.IntN(200))
		table := newTable(cfg, peers[rng.IntN(len(peers))])
		near := dht.Closest(peers, table.self.ID, 9)
		for _, p := range append(slices.Clone(near), peers[rng.IntN(len(peers))], peers[rng.IntN(len(peers))]) {
			table.enter(p, 0)
		}
		table.confirm()
		if len(peers) > 9 && len(table.buckets) == 0 {
			continue // the buckets are to hold somebody, if there is anybody
		}
		for range 20 {
			key, n := dht.NewID(0, rng.Uint64N(1<<16)), 1+rng.IntN(8)
			got := table.closest(key, n)
			if want := dht.Closest(peers, key, n); table.covers(key, n) && !slices.Equal(got.peers(n), want) {
				t.Fatalf("%s is sure that %v are closest to %s, not %v", table.self, got.peers(n), key, want)
			}
		}
		own++
		if table.covers(table.self.ID, 3) {
			sure++
		}
	}
	if sure < own*9/10 {
		t.Errorf("%d of %d nodes were sure of their own place", sure, own)
	}
}

// What a table is sure of does not grow by itself when siblings die: those who take
// their places may not be the next ones.
func TestDeathsMakeNobodySure(t *testing.T) {
	cfg := resolved(t, Config{Space: dht.Space{Bits: 8}, Siblings: 3})
	table := newTable(cfg, dht.Peer{ID: dht.NewID(0, 0), Ref: 100})
	for _, id := range []uint64{1, 2, 3, 0x10, 0x80} {
		table.enter(dht.Peer{ID: dht.NewID(0, id), Ref: uint32(id)}, 0)
	}
	table.confirm()
	before := table.reach()
	for _, id := range []uint64{1, 2, 3, 0x10, 0x80} {
		table.remove(dht.Peer{ID: dht.NewID(0, id), Ref: uint32(id)})
		if table.reach() < before {
			t.Fatalf("after the death of %x the table reaches to %d shared bits, before to %d", id, table.reach(), before)
		}
	}
	if table.confirm(); table.reach() != 0 {
		t.Errorf("a node that all agree is alone reaches to %d shared bits", table.reach())
	}
}

// The one seen least recently comes first, and the replacement cache gives the newest.
func TestOrderIsByLastSeen(t *testing.T) {
	cfg := resolved(t, Config{Space: dht.Space{Bits: 8}, K: 3, Siblings: 1})
	table := newTable(cfg, dht.Peer{ID: dht.NewID(0, 0), Ref: 100})
	far := func(id uint64) dht.Peer { return dht.Peer{ID: dht.NewID(0, 0x80|id), Ref: uint32(id)} }
	table.enter(dht.Peer{ID: dht.NewID(0, 1), Ref: 99}, 0)
	for id := range uint64(8) {
		table.enter(far(id+1), 0)
	}
	table.enter(far(1), 0)
	table.touch(far(2))
	if want := (bucket{far(3), far(1), far(2)}); !slices.Equal(table.bucket(0), want) {
		t.Errorf("the bucket is %v, want %v: who is in it stays", table.bucket(0), want)
	}
	if want := []dht.Peer{far(5), far(6), far(7), far(8)}; !slices.Equal(table.spares(0), want) {
		t.Errorf("the replacements are %v, want %v", table.spares(0), want)
	}
}

// With Proximity a full bucket prefers shorter round trips; who was never measured
// goes first.
func TestProximityReplacesTheSlowest(t *testing.T) {
	cfg := resolved(t, Config{Space: dht.Space{Bits: 8}, K: 2, Siblings: 1, Proximity: true})
	table := newTable(cfg, dht.Peer{ID: dht.NewID(0, 0), Ref: 100})
	far := func(id uint64) dht.Peer { return dht.Peer{ID: dht.NewID(0, 0x80|id), Ref: uint32(id)} }
	table.enter(dht.Peer{ID: dht.NewID(0, 1), Ref: 99}, 0)
	table.enter(far(1), 30*time.Millisecond)
	table.set(0, append(table.bucket(0), far(2)))
	table.enter(far(3), 50*time.Millisecond)
	if want := (bucket{far(1), far(3)}); !slices.Equal(table.bucket(0), want) {
		t.Errorf("the bucket is %v, want %v: one that was not measured has gone", table.bucket(0), want)
	}
	table.enter(far(4), 60*time.Millisecond)
	table.enter(far(5), 20*time.Millisecond)
	if want := (bucket{far(1), far(5)}); !slices.Equal(table.bucket(0), want) {
		t.Errorf("the bucket is %v, want %v", table.bucket(0), want)
	}
}

// Two bytes stand for a peer; another salt tells those apart whom one confuses.
func TestMarksTellPeersApart(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	confused := 0
	for range 1000 {
		peers := crowd(rng, 60, 21)
		m := &near{Salt: rng.Uint32()}
		m.Known = marks(peers[:20], m.Salt)
		for _, p := range peers[:20] {
			if !m.knows(p.ID) {
				t.Fatalf("%s is not among its own marks", p)
			}
		}
		if m.knows(peers[20].ID) {
			confused++
		}
	}
	if confused > 5 {
		t.Errorf("%d of 1000 strangers were taken for known peers", confused)
	}
	for a := range uint64(16) {
		b := a ^ 1
		if mark(dht.NewID(0, a), 1) == mark(dht.NewID(0, b), 1) && mark(dht.NewID(0, a), 2) == mark(dht.NewID(0, b), 2) {
			t.Errorf("%d and %d have the same marks with two salts", a, b)
		}
	}
}
