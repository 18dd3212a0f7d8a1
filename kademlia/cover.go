package kademlia

import (
	"slices"

	"dyschord/dht"
)

// confirm notes that all siblings, asked since the list last changed, know of nobody
// who belongs into it.
func (t *table) confirm() {
	t.cover = 0
	t.cover = t.reach()
}

// reach is how many bits a member shares at least with this node if it cannot be
// missing in the table; 0 if nobody can. Those who share so many have few enough
// others among them that all are siblings of each other, and a newcomer among them
// asks them all.
func (t *table) reach() int {
	if len(t.buckets) == 0 {
		return t.cover
	}
	return max(t.cover, t.depth())
}

// covers says whether the n nodes closest to key are all in the table for sure: the key
// shares so many bits with this node as they do.
func (t *table) covers(key dht.ID, n int) bool {
	reach := t.reach()
	if reach == 0 {
		return true
	}
	return t.prefix(t.self.ID, key) >= reach && n <= 1+t.sharing(reach)
}

// sharing counts the siblings that share at least so many bits with this node.
func (t *table) sharing(bits int) int {
	n := 0
	for n < len(t.siblings) && t.prefix(t.self.ID, t.siblings[n].ID) >= bits {
		n++
	}
	return n
}

// ones is the identifier whose n low bits are set.
func ones(n int) dht.ID { return dht.NewID(^uint64(0), ^uint64(0)).Shr(uint(dht.MaxBits - n)) }

// empty tells the empty buckets, bit i for bucket i, of those that the siblings do
// not stand for.
func (t *table) empty() dht.ID {
	var out dht.ID
	for i := range t.depth() {
		if len(t.bucket(i)) == 0 && !t.standsFor(i) {
			out = out.Or(dht.NewID(0, 1).Shl(uint(i)))
		}
	}
	return out
}

// standsFor says whether a sibling shares exactly i bits with this node.
func (t *table) standsFor(i int) bool {
	return slices.ContainsFunc(t.siblings, func(p dht.Peer) bool { return t.prefix(t.self.ID, p.ID) == i })
}

// depth counts the buckets that reach beyond the siblings: all are below it.
func (t *table) depth() int {
	n := len(t.siblings)
	if n < t.cfg.Siblings {
		return 0 // the siblings are everybody
	}
	return 1 + t.prefix(t.self.ID, t.siblings[n-1].ID)
}
