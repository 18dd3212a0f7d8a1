package chord

import (
	"fmt"
	"iter"
	"slices"

	"dyschord/dht"
	"dyschord/dht/lookup"
)

// Predecessor is the node before this one, nobody while none is known.
func (n *Node) Predecessor() dht.Peer { return n.ring.Predecessor() }

// Successors is the successor list, nearest first, without this node itself. The
// caller must not change it.
func (n *Node) Successors() []dht.Peer { return n.ring.Successors() }

// Peers visits every peer the node holds, some perhaps twice.
func (n *Node) Peers() iter.Seq[dht.Peer] {
	return func(yield func(dht.Peer) bool) {
		if n.ring.Peers(yield) {
			slices.Values(n.table)(yield)
		}
	}
}

// Table shows predecessor, successor list and fingers. A finger that stands for
// several places of the paper's table is labelled with the range of their starts.
func (n *Node) Table() dht.Table {
	table := make([]dht.Entry, 0, len(n.table))
	s, self := n.cfg.space, n.env.Self()
	i := firstFinger(s, self.ID, n.ring.Successors())
	for _, p := range n.table {
		top := octave(s, self.ID, p.ID)
		table = append(table, dht.Entry{Label: fingerLabel(s, self.ID, min(i, top), top), Peer: p})
		i = top + 1
	}
	sections := append(n.ring.Sections(), dht.Section{Name: "fingers", Entries: table})
	return dht.Table{Algorithm: "chord", Self: self, Sections: sections}
}

func fingerLabel(s dht.Space, self dht.ID, from, to int) string {
	if from == to {
		return fmt.Sprintf("finger %d, from %s", from, s.Format(start(s, self, from)))
	}
	return fmt.Sprintf("fingers %d-%d, from %s", from, to, s.Format(start(s, self, from)))
}

// Explain says why a hop was taken.
func (n *Node) Explain(why dht.Reason) string {
	switch why.Rule {
	case lookup.RuleOwner:
		return "the key lies between its predecessor and it"
	case lookup.RuleSeed:
		return "seed"
	case ruleFinger:
		return fmt.Sprintf("finger %d, the closest before the key", why.N)
	case ruleSuccessor:
		return fmt.Sprintf("successor %d, the closest before the key", why.N+1)
	}
	return fmt.Sprintf("unknown rule %d", why.Rule)
}

// Finger is the paper's finger[i], counted from 0: the first node known at or after
// self + 2^i, in the successor list or the fingers; this node itself if there is none.
func (n *Node) Finger(i int) dht.Peer {
	s, self := n.cfg.space, n.env.Self()
	best := self
	if p, ok := n.table.finger(s, self.ID, i); ok {
		best = p
	}
	if p, ok := fingers(n.ring.Successors()).finger(s, self.ID, i); ok {
		if best == self || s.Sub(p.ID, self.ID).Less(s.Sub(best.ID, self.ID)) {
			best = p
		}
	}
	return best
}
