package koorde

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

// Pointers is the list of de Bruijn pointers, clockwise, and the place of the anchor in
// it, -1 if none is known. The caller must not change it.
func (n *Node) Pointers() (list []dht.Peer, anchor int) {
	return n.pointers, n.window().ahead(n.pointers) - 1
}

// Peers visits every peer the node holds, some perhaps twice.
func (n *Node) Peers() iter.Seq[dht.Peer] {
	return func(yield func(dht.Peer) bool) {
		if n.ring.Peers(yield) {
			slices.Values(n.pointers)(yield)
		}
	}
}

// Table shows predecessor, successor list and de Bruijn pointers.
func (n *Node) Table() dht.Table {
	list, anchor := n.Pointers()
	entries := make([]dht.Entry, len(list))
	for i, p := range list {
		entries[i] = dht.Entry{Label: pointerLabel(i - anchor), Peer: p}
	}
	g := n.cfg.graph
	name := fmt.Sprintf("pointers around %d·m = %s", 1<<g.digit, g.space.Format(n.window().image))
	sections := append(n.ring.Sections(), dht.Section{Name: name, Entries: entries})
	return dht.Table{Algorithm: "koorde", Self: n.env.Self(), Sections: sections}
}

func pointerLabel(place int) string {
	switch {
	case place < 0:
		return fmt.Sprintf("backup %d before the anchor", -place)
	case place == 0:
		return "anchor"
	}
	return fmt.Sprintf("pointer %d after the anchor", place)
}

// Explain says why a hop was taken.
func (n *Node) Explain(why dht.Reason) string {
	i := n.cfg.space.Format(why.At)
	switch why.Rule {
	case lookup.RuleOwner:
		return "the key lies between its predecessor and it"
	case lookup.RuleSeed:
		return "seed"
	case ruleShift:
		return fmt.Sprintf("digit %x shifted in: de Bruijn pointer closest before the imaginary node %s", why.N, i)
	case ruleCorrection:
		return fmt.Sprintf("ring correction towards the imaginary node %s", i)
	case ruleAnew:
		return fmt.Sprintf("begun anew at the imaginary node %s: no way on was known", i)
	}
	return fmt.Sprintf("unknown rule %d", why.Rule)
}
