package chord

import (
	"context"
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

// eagerPasses is how many refreshes at speed there are per successor after joining.
const eagerPasses = 2

// refreshDue starts this round's refreshes (Stoica §5.1, fix_fingers): some while
// fingers change, one in a while when they do not.
func (n *Node) refreshDue() { n.pace.Round(n.env, "chord.fingers", n.cfg.fingers, n.fixFinger) }

// fixFinger looks one finger up and goes on to the next that may be another node.
// It returns false if it made no progress.
func (n *Node) fixFinger(ctx context.Context) bool {
	s, self := n.cfg.space, n.env.Self()
	first := firstFinger(s, self.ID, n.ring.Successors())
	i := max(n.next, first)
	if i >= int(s.Width()) {
		i = first
		n.trimFingers(first)
	}
	if i >= int(s.Width()) {
		n.next = 0
		return false // the successor list reaches round the ring, or half of it
	}
	route, err := n.find(ctx, start(s, self.ID, i), 1)
	n.env.Emit(dht.LookupDone{Route: route, Err: err, Upkeep: true})
	if err != nil || !n.ring.Member() {
		n.next = i + 1
		return false
	}
	n.setFinger(i, route.Owners[0])
	return true
}

// setFinger enters what the lookup of finger i's start has found.
func (n *Node) setFinger(i int, p dht.Peer) {
	s, self := n.cfg.space, n.env.Self()
	if p.Same(self) || s.Sub(p.ID, self.ID).Less(s.Pow2(uint(i))) {
		// Nobody stands between that point and this node.
		for j, old := range n.table {
			if octave(s, self.ID, old.ID) >= i {
				n.changeFingers(slices.Clone(n.table[:j]))
				break
			}
		}
		n.next = int(s.Width())
		return
	}
	if old, ok := n.table.finger(s, self.ID, i); !ok || old != p {
		n.changeFingers(n.table.set(s, self.ID, i, p))
	}
	n.next = octave(s, self.ID, p.ID) + 1
}

// changeFingers replaces the table. One change suggests more: the whole table is
// then looked at soon.
func (n *Node) changeFingers(f fingers) {
	n.table = f
	n.pace.Hurry(len(f)/2 + 1)
}

// trimFingers forgets fingers that the successor list has come to serve for.
func (n *Node) trimFingers(first int) {
	s, self := n.cfg.space, n.env.Self().ID
	if i := slices.IndexFunc(n.table, func(p dht.Peer) bool { return octave(s, self, p.ID) >= first }); i != 0 {
		if i < 0 {
			i = len(n.table)
		}
		n.table = slices.Clone(n.table[i:])
	}
}

// dropFinger forgets a dead peer and has its finger looked up soon.
func (n *Node) dropFinger(p dht.Peer) {
	if !slices.ContainsFunc(n.table, p.Same) {
		return
	}
	n.next = min(n.next, octave(n.cfg.space, n.env.Self().ID, p.ID))
	n.changeFingers(n.table.without(p))
}
