package lab

import (
	"slices"

	"dyschord/dht"
)

// oracle knows all members at every moment and says who owns a key. A node is a
// member from the return of Join (or its Prefill) to its crash.
type oracle struct {
	members []dht.Peer // by ID
	rule    dht.Ownership
}

func position(members []dht.Peer, id dht.ID) (int, bool) {
	return slices.BinarySearchFunc(members, id, func(p dht.Peer, id dht.ID) int { return p.ID.Cmp(id) })
}

// add enters a member.
func (o *oracle) add(p dht.Peer) {
	if at, found := position(o.members, p.ID); !found {
		o.members = slices.Insert(o.members, at, p)
	}
}

// remove drops a member; nothing happens if it was none.
func (o *oracle) remove(p dht.Peer) {
	if at, found := position(o.members, p.ID); found {
		o.members = slices.Delete(o.members, at, at+1)
	}
}

// right says whether the owners that a lookup named are the first n of the key, in
// order.
func (o *oracle) right(key dht.ID, n int, named []dht.Peer) bool {
	return slices.EqualFunc(named, o.rule(o.members, key, n), dht.Peer.Same)
}
