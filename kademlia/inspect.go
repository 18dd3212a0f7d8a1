package kademlia

import (
	"fmt"
	"iter"
	"slices"

	"dyschord/dht"
	"dyschord/dht/lookup"
)

// Siblings are the closest peers known, nearest first.
func (n *Node) Siblings() []dht.Peer { return slices.Clone(n.table.siblings) }

// Bucket is bucket i: peers that share exactly i leading bits with this node, but no
// siblings; least recently seen first.
func (n *Node) Bucket(i int) []dht.Peer { return slices.Clone(n.table.bucket(i)) }

// Peers visits every peer the node holds, some perhaps twice.
func (n *Node) Peers() iter.Seq[dht.Peer] {
	return func(yield func(dht.Peer) bool) {
		if !n.table.peers(yield) {
			return
		}
		for _, d := range n.lost {
			if !yield(d.peer) {
				return
			}
		}
		for _, list := range [][]dht.Peer{n.seeds, n.meeting, n.probing} {
			for _, p := range list {
				if !yield(p) {
					return
				}
			}
		}
	}
}

// Table shows siblings, buckets and the replacement cache.
func (n *Node) Table() dht.Table {
	t := &n.table
	sections := []dht.Section{
		{Name: "siblings", Entries: n.entries(t.siblings, "sibling %d, %d bits shared")},
		{Name: "buckets"},
		{Name: "replacement cache", Entries: n.entries(t.spare, "replacement %d, %d bits shared")},
	}
	for i, b := range t.buckets {
		for _, p := range b {
			label := fmt.Sprintf("bucket %d, %d bits shared", i, i)
			sections[1].Entries = append(sections[1].Entries, dht.Entry{Label: label, Peer: p})
		}
	}
	return dht.Table{Algorithm: "kademlia", Self: n.env.Self(), Sections: sections}
}

func (n *Node) entries(list []dht.Peer, label string) []dht.Entry {
	out := make([]dht.Entry, len(list))
	for i, p := range list {
		out[i] = dht.Entry{Label: fmt.Sprintf(label, i+1, n.table.prefix(n.table.self.ID, p.ID)), Peer: p}
	}
	return out
}

// Explain says why a hop was taken.
func (n *Node) Explain(why dht.Reason) string {
	own, key := why.N&0xff, why.N>>8
	switch why.Rule {
	case lookup.RuleOwner:
		return "one of the closest to the key"
	case lookup.RuleSeed:
		return "seed"
	case ruleBucket:
		return fmt.Sprintf("bucket %d, shares %s with the key", own, bits(key))
	case ruleSibling:
		return fmt.Sprintf("sibling in the range of bucket %d, shares %s with the key", own, bits(key))
	case ruleClosest:
		return fmt.Sprintf("one of the closest to the key, shares %s with it; in the range of bucket %d", bits(key), own)
	}
	return fmt.Sprintf("unknown rule %d", why.Rule)
}

func bits(n int32) string {
	if n == 1 {
		return "1 bit"
	}
	return fmt.Sprintf("%d bits", n)
}
