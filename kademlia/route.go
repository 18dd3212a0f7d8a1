package kademlia

import (
	"time"

	"dyschord/dht"
	"dyschord/dht/lookup"
)

// The rules by which a node is named, for [Node.Explain]. Reason.N is made by places.
const (
	ruleBucket  = 1 // from a bucket
	ruleSibling = 2 // from the siblings
	ruleClosest = 3 // as an owner
)

// places packs what there is to say about a step: the bits that it shares with the
// node that named it, which is its bucket there, and those that it shares with the key.
func places(bucket, prefix int) int32 { return int32(bucket | prefix<<8) }

// router is the node as its lookups see it.
type router Node

// Begin needs no state: the key says it all.
func (r *router) Begin(dht.ID) none { return none{} }

// Next names the peers known that are closer to key than this node, the closest first;
// or, if they are fewer than its siblings, so that it knows the key's neighbourhood,
// the owners.
func (r *router) Next(key dht.ID, _ none, n int) ([]lookup.Step[none], []dht.Peer) {
	t := &r.table
	best := t.closest(key, max(n, t.cfg.Siblings))
	if best.place(t.self) < best.n {
		return nil, withSelf(&best, t.self, n)
	}
	steps := make([]lookup.Step[none], min(n, best.n))
	for i := range steps {
		steps[i] = lookup.Step[none]{Peer: best.list[i].peer, Why: t.reason(key, best.list[i].peer)}
	}
	return steps, nil
}

// Owners answers somebody who takes this node for an owner.
func (r *router) Owners(key dht.ID, n int) []dht.Peer {
	best := r.table.closest(key, n)
	return withSelf(&best, r.table.self, n)
}

// withSelf lists the n closest and, if it is none of them, this node after them: it
// lives, should all of these be dead.
func withSelf(best *ranking, self dht.Peer, n int) []dht.Peer {
	list := best.peers(n)
	if best.place(self) >= len(list) {
		list = append(list, self)
	}
	return list
}

func (t *table) reason(key dht.ID, p dht.Peer) dht.Reason {
	own := t.prefix(t.self.ID, p.ID)
	why := dht.Reason{Rule: ruleBucket, N: places(own, t.prefix(key, p.ID))}
	if n := len(t.siblings); n > 0 && !t.distance(t.siblings[n-1]).Less(t.distance(p)) {
		why.Rule = ruleSibling
	}
	return why
}

// OwnerReason says where namer has the owner, and how close that is to the key.
func (r *router) OwnerReason(key dht.ID, namer, owner dht.Peer) dht.Reason {
	t := &r.table
	return dht.Reason{Rule: ruleClosest, N: places(t.prefix(namer.ID, owner.ID), t.prefix(key, owner.ID))}
}

// Nearer: progress is to be closer to the key.
func (r *router) Nearer(key dht.ID, a, b lookup.Step[none]) bool {
	return r.Before(key, a.Peer, b.Peer)
}

// Before: owners follow each other in the order of their distance to the key.
func (r *router) Before(key dht.ID, a, b dht.Peer) bool { return a.ID.Xor(key).Less(b.ID.Xor(key)) }

// Answered takes p in: an answer is the only way into the table.
func (r *router) Answered(p dht.Peer, rtt time.Duration) { (*Node)(r).answered(p, rtt) }

// Suspect has p probed, if this node holds it: nobody can make it probe others.
func (r *router) Suspect(p dht.Peer) { (*Node)(r).suspect(p, r.cfg.Tries) }
