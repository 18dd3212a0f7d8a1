package kademlia

import (
	"slices"
	"sort"

	"dyschord/dht"
)

// Prefill enters the overlay with the tables that full knowledge gives: all siblings,
// and in each bucket peers drawn at random from all that belong there.
func (n *Node) Prefill(sorted []dht.Peer) {
	t := newTable(n.cfg, n.env.Self())
	near := dht.Closest(sorted, t.self.ID, n.cfg.Siblings+1)
	t.siblings = slices.Clone(slices.DeleteFunc(near, t.self.Same))
	depth := t.depth()
	t.buckets = make([]bucket, depth)
	for i := range depth {
		t.buckets[i] = n.draw(&t, inBucket(&t, sorted, i), i == depth-1)
	}
	for len(t.buckets) > 0 && len(t.buckets[len(t.buckets)-1]) == 0 {
		t.buckets = t.buckets[:len(t.buckets)-1]
	}
	t.confirm()
	n.table, n.member = t, true
	n.start()
}

// inBucket are those of sorted that share exactly i bits with this node.
func inBucket(t *table, sorted []dht.Peer, i int) []dht.Peer {
	rest := t.cfg.Space.Width() - uint(i) - 1
	first := t.self.ID.Shr(rest).Xor(dht.NewID(0, 1)).Shl(rest)
	last := first.Or(ones(int(rest)))
	from := sort.Search(len(sorted), func(j int) bool { return !sorted[j].ID.Less(first) })
	to := sort.Search(len(sorted), func(j int) bool { return last.Less(sorted[j].ID) })
	return sorted[from:to]
}

// draw picks k of the candidates (Floyd's sampling: k draws, whatever their number).
// Only those of the last bucket can be siblings.
func (n *Node) draw(t *table, candidates []dht.Peer, last bool) bucket {
	if last {
		candidates = slices.DeleteFunc(slices.Clone(candidates), func(p dht.Peer) bool {
			_, held := t.find(p)
			return held
		})
	}
	k, m := n.cfg.K, len(candidates)
	if m <= k {
		return slices.Clone(candidates)
	}
	picked := make([]int, 0, dht.MaxOwners)
	b := make(bucket, 0, k)
	for j := m - k; j < m; j++ {
		at := n.env.Rand().IntN(j + 1)
		if slices.Contains(picked, at) {
			at = j
		}
		picked = append(picked, at)
		b = append(b, candidates[at])
	}
	return b
}
