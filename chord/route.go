package chord

import (
	"time"

	"dyschord/dht"
	"dyschord/dht/lookup"
)

// The rules by which a node is named, for [Node.Explain].
const (
	ruleFinger    = 1 // closest preceding finger; Reason.N is its octave
	ruleSuccessor = 2 // in the successor list; Reason.N is its place from 0
)

// router is the node as its lookups see it.
type router Node

// Begin needs no state: the key says it all.
func (r *router) Begin(dht.ID) none { return none{} }

// Next names the owners when key falls into the reach of the successor list, and
// the closest preceding nodes known: find_successor and closest_preceding_node of
// the paper (fig. 5) in one.
func (r *router) Next(key dht.ID, _ none, n int) ([]lookup.Step[none], []dht.Peer) {
	owners := r.ring.Owners(key, n)
	if len(owners) > 0 {
		n = min(n, fallbacks)
	}
	return (*Node)(r).preceding(key, n), owners
}

// fallbacks is how many steps go with named owners, for the case that all are dead.
const fallbacks = 2

// Owners answers somebody who takes this node for the owner.
func (r *router) Owners(key dht.ID, n int) []dht.Peer { return r.ring.OwnersOf(key, n) }

// Nearer: progress is to stand closer before the key.
func (r *router) Nearer(key dht.ID, a, b lookup.Step[none]) bool {
	s := r.cfg.space
	return s.Sub(key, a.Peer.ID).Less(s.Sub(key, b.Peer.ID))
}

// Before: owners follow each other clockwise from the key.
func (r *router) Before(key dht.ID, a, b dht.Peer) bool {
	s := r.cfg.space
	return s.Sub(a.ID, key).Less(s.Sub(b.ID, key))
}

// Answered is no news: fingers are chosen by their place alone.
func (r *router) Answered(dht.Peer, time.Duration) {}

// Suspect has p probed, if this node holds it.
func (r *router) Suspect(p dht.Peer) { r.ring.Suspect(p, r.table...) }

// preceding lists up to n nodes strictly between this one and key, the closest to
// the key first, from the fingers and the successor list together.
func (n *Node) preceding(key dht.ID, count int) []lookup.Step[none] {
	s, self := n.cfg.space, n.env.Self().ID
	succ, table := n.ring.Successors(), n.table
	limit := s.Sub(key, self)
	if limit == (dht.ID{}) {
		return nil
	}
	steps := make([]lookup.Step[none], 0, min(count, len(succ)+len(table)))
	i, j := len(succ)-1, len(table)-1
	for len(steps) < count && (i >= 0 || j >= 0) {
		step, far := lookup.Step[none]{}, dht.ID{}
		if i >= 0 {
			step.Peer, far = succ[i], s.Sub(succ[i].ID, self)
			step.Why = dht.Reason{Rule: ruleSuccessor, N: int32(i)}
		}
		if j >= 0 && (i < 0 || far.Less(s.Sub(table[j].ID, self))) {
			step.Peer, far = table[j], s.Sub(table[j].ID, self)
			step.Why = dht.Reason{Rule: ruleFinger, N: int32(far.Len() - 1)}
			j--
		} else {
			if j >= 0 && table[j].Same(succ[i]) {
				j--
			}
			i--
		}
		if far.Less(limit) {
			steps = append(steps, step)
		}
	}
	return steps
}
