package kademlia

import "dyschord/dht"

// ranking is the peers found closest to a key so far, nearest first.
type ranking struct {
	key  dht.ID
	most int
	n    int
	list [dht.MaxOwners + 2]ranked
}

type ranked struct {
	peer     dht.Peer
	distance dht.ID // to the key
}

// closest ranks the peers held and this node itself by their distance to key: at most
// n, which is at most dht.MaxOwners+2.
func (t *table) closest(key dht.ID, n int) ranking {
	r := ranking{key: key, most: n}
	r.add(t.self)
	r.addAll(t.siblings)
	// All that shares exactly as many bits with this node as the key does is nearer to
	// the key than all else; then come those that share more, then those that share
	// fewer and fewer. How near each group can be, the first bit tells in which it
	// differs from the key.
	width := int(t.cfg.Space.Width())
	shared := t.prefix(t.self.ID, key)
	r.addAll(t.bucket(shared))
	if r.reached(width - shared) {
		return r
	}
	for i := shared + 1; i < len(t.buckets); i++ {
		r.addAll(t.buckets[i])
	}
	for i := min(shared, len(t.buckets)) - 1; i >= 0 && !r.reached(width-i); i-- {
		r.addAll(t.buckets[i])
	}
	return r
}

// reached says whether no peer can rank any more that differs from the key in that
// bit, counted from 1 at the low end.
func (r *ranking) reached(bit int) bool {
	return r.n == r.most && r.list[r.n-1].distance.Len() < bit
}

func (r *ranking) addAll(list []dht.Peer) {
	for i := range list {
		r.add(list[i])
	}
}

func (r *ranking) add(p dht.Peer) {
	distance := p.ID.Xor(r.key)
	if r.n == r.most {
		if !distance.Less(r.list[r.n-1].distance) {
			return
		}
		r.n--
	}
	at := r.n
	for at > 0 && distance.Less(r.list[at-1].distance) {
		r.list[at] = r.list[at-1]
		at--
	}
	r.list[at] = ranked{p, distance}
	r.n++
}

// place is the rank of p, r.n if it has none.
func (r *ranking) place(p dht.Peer) int {
	for i := range r.n {
		if r.list[i].peer.Same(p) {
			return i
		}
	}
	return r.n
}

// peers lists the first n.
func (r *ranking) peers(n int) []dht.Peer {
	out := make([]dht.Peer, min(n, r.n))
	for i := range out {
		out[i] = r.list[i].peer
	}
	return out
}
