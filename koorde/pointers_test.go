package koorde

import (
	"math/rand/v2"
	"slices"
	"testing"

	"dyschord/dht"
)

func crowd(rng *rand.Rand, n int) []dht.Peer {
	var out []dht.Peer
	for range n {
		id := rng.Uint64N(1 << 16)
		out = append(out, dht.Peer{ID: dht.NewID(0, id), Ref: uint32(id) + 1, Inc: 1})
	}
	slices.SortFunc(out, func(a, b dht.Peer) int { return a.ID.Cmp(b.ID) })
	return slices.Compact(out)
}

// perfect is what full knowledge says of pointers, written down by walking: backups and
// the anchor back from the image, the rest forward from it, each on its half of the
// ring.
func perfect(w window, members []dht.Peer) pointers {
	var ahead, behind pointers
	for _, p := range members {
		if w.space.Sub(w.image, p.ID).Lo() < 1<<15 {
			ahead = append(ahead, p)
		} else {
			behind = append(behind, p)
		}
	}
	slices.SortFunc(ahead, func(a, b dht.Peer) int { return w.space.Sub(w.image, b.ID).Cmp(w.space.Sub(w.image, a.ID)) })
	slices.SortFunc(behind, func(a, b dht.Peer) int { return w.distance(a.ID).Cmp(w.distance(b.ID)) })
	room := w.size
	if len(ahead) > 0 {
		room--
	}
	return append(ahead[max(0, len(ahead)-1-backups):], behind[:min(room, len(behind))]...)
}

// Looking at one stretch after another makes any pointers what full knowledge would
// put there: the dead go, the missing come, nobody who lives is lost.
func TestLooksMakeThePointersRight(t *testing.T) {
	const reach = 5 // successors in a stretch
	rng := rand.New(rand.NewPCG(1, 1))
	for round := range 300 {
		members := crowd(rng, 3+rng.IntN(80))
		n := len(members)
		w := window{graph{dht.Space{Bits: 16}, 4}, dht.NewID(0, rng.Uint64N(1<<16)), 8 + rng.IntN(16)}
		want := perfect(w, members)
		if got := w.prefill(members); !slices.Equal(got, want) {
			t.Fatalf("round %d: prefilled with %v, want %v", round, got, want)
		}
		stretch := func(i int) []dht.Peer { // of node i: its predecessor, itself, its successors
			var out []dht.Peer
			for j := range min(n, reach+2) {
				out = append(out, members[(i+n-1+j)%n])
			}
			return out
		}
		list := w.cut(crowd(rng, rng.IntN(30))) // of nodes that are gone, mostly
		anchor := slices.Index(members, want[max(0, w.ahead(want)-1)])
		for back := range backups + 2 {
			list = w.settle(list, stretch((anchor+5*n-back)%n), 1)
		}
		for at := 0; at < len(want); at += reach {
			list = w.settle(list, stretch((anchor+at)%n), 1)
		}
		if !slices.Equal(list, want) {
			t.Fatalf("round %d, %d members, image %s: the pointers are %v, want %v", round, n, w.image, list, want)
		}
	}
}

// All that precede the next imaginary node are legal, the closest is the best; those
// that follow it are not. Without the anchor and its backups there may be none.
func TestPrecedingPointers(t *testing.T) {
	w := window{graph{dht.Space{Bits: 8}, 2}, dht.NewID(0, 100), 8}
	at := func(ids ...uint64) (list pointers) {
		for _, id := range ids {
			list = append(list, dht.Peer{ID: dht.NewID(0, id), Ref: uint32(id) + 1})
		}
		return list
	}
	list := at(90, 98, 104, 110, 120)
	for _, c := range []struct {
		list pointers
		next uint64
		n    int
		want pointers
	}{
		{list, 105, 8, at(104, 98, 90)},
		{list, 105, 2, at(104, 98)},
		{list, 104, 8, at(98, 90)}, // one that stands at the point is past it
		{list, 120, 8, at(110, 104, 98, 90)},
		{list, 130, 2, at(120, 110)}, // beyond the last one
		{list, 101, 8, at(98, 90)},
		{at(104, 110, 120), 107, 8, at(104)},
		{at(104, 110, 120), 102, 8, nil}, // anchor and backups are gone
		{at(104, 110, 120), 140, 8, at(120, 110, 104)},
		{at(90), 101, 8, at(90)},
		{nil, 101, 8, nil},
	} {
		if got := w.preceding(c.list, dht.NewID(0, c.next), c.n); !slices.Equal(got, c.want) {
			t.Errorf("of %v, %v precede %d, want %v", c.list, got, c.next, c.want)
		}
	}
}
