package chord

import (
	"slices"
	"sort"

	"dyschord/dht"
)

// fingers is the finger table without its repetitions. The paper's finger[i] is the
// first node at a distance of at least 2^i; most of the entries for small i are the
// same node. Here every peer stands once, in the order of distance, and the entry
// for i is the first that is far enough. As only the first node of each octave
// [2^i, 2^(i+1)) can be a finger, there is at most one peer per octave; the octaves
// that the successor list reaches have none, since the list serves for them.
type fingers []dht.Peer

// octave is the largest i with 2^i at most the distance from self to p.
func octave(s dht.Space, self, p dht.ID) int { return s.Sub(p, self).Len() - 1 }

// start is the point of finger i: self + 2^i (Stoica, table 1).
func start(s dht.Space, self dht.ID, i int) dht.ID { return s.Add(self, s.Pow2(uint(i))) }

// finger returns entry i of the paper's table as far as it is known.
func (f fingers) finger(s dht.Space, self dht.ID, i int) (dht.Peer, bool) {
	for _, p := range f {
		if octave(s, self, p.ID) >= i {
			return p, true
		}
	}
	return dht.Peer{}, false
}

// set returns the table after p was found to be the first node from finger i's
// start on: what was known between that point and p is gone, and so is the rest of
// p's octave.
func (f fingers) set(s dht.Space, self dht.ID, i int, p dht.Peer) fingers {
	top := octave(s, self, p.ID)
	out := make(fingers, 0, len(f)+1)
	placed := false
	for _, old := range f {
		at := octave(s, self, old.ID)
		if at > top && !placed {
			out = append(out, p)
			placed = true
		}
		if (at < i || at > top) && !old.Same(p) {
			out = append(out, old)
		}
	}
	if !placed {
		out = append(out, p)
	}
	return out
}

// without returns the table without p.
func (f fingers) without(p dht.Peer) fingers {
	return slices.DeleteFunc(slices.Clone(f), p.Same)
}

// prefill is the table of a node that knows everybody.
func (f *fingers) prefill(s dht.Space, self dht.Peer, succ, sorted []dht.Peer) {
	var out fingers
	for i := firstFinger(s, self.ID, succ); i < int(s.Width()); {
		p := successorOf(sorted, start(s, self.ID, i))
		if p.Same(self) || s.Sub(p.ID, self.ID).Less(s.Pow2(uint(i))) {
			break // past this node: nobody stands that far
		}
		out = append(out, p)
		i = octave(s, self.ID, p.ID) + 1
	}
	*f = slices.Clone(out) // of exact size
}

// successorOf is the first peer at or after id.
func successorOf(sorted []dht.Peer, id dht.ID) dht.Peer {
	i := sort.Search(len(sorted), func(i int) bool { return !sorted[i].ID.Less(id) })
	return sorted[i%len(sorted)]
}

// firstFinger is the first finger whose start lies beyond the successor list.
func firstFinger(s dht.Space, self dht.ID, succ []dht.Peer) int {
	if len(succ) == 0 {
		return int(s.Width())
	}
	return octave(s, self, succ[len(succ)-1].ID) + 1
}
