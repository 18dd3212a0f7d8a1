package kademlia

import (
	"math"
	"slices"
	"time"

	"dyschord/dht"
)

// table is what a node knows of others. A peer stands in one place:
//
//   - siblings: the peers closest to this node, nearest first. Together they are the
//     bucket that holds the node itself, which the paper splits and this table cuts at
//     a distance.
//   - buckets[i]: peers that share exactly i leading bits with this node and are no
//     siblings, least recently seen first, at most k. Only a full list of siblings
//     leaves anybody for the buckets.
//   - spare: the replacement cache, of peers for whom there was no room. They are
//     named to nobody, and pinged before they take a place.
//
// Everybody in siblings and buckets has answered this node.
type table struct {
	cfg      *settings
	self     dht.Peer
	siblings []dht.Peer
	buckets  []bucket
	spare    []dht.Peer // oldest first
	cover    int        // what reach was after the latest change; less once confirmed; at first nothing
	// rtts holds the round trips to the peers of buckets; nil without Proximity.
	rtts map[uint32]time.Duration
}

// bucket is a k-bucket, least recently seen first.
type bucket []dht.Peer

// maxSpare is how many peers the replacement cache keeps for each bucket.
const maxSpare = 4

func newTable(cfg *settings, self dht.Peer) table {
	t := table{cfg: cfg, self: self, cover: int(cfg.Space.Width())}
	if cfg.Proximity {
		t.rtts = map[uint32]time.Duration{}
	}
	return t
}

// prefix counts the leading bits that a and b share.
func (t *table) prefix(a, b dht.ID) int { return int(t.cfg.Space.Width()) - a.Xor(b).Len() }

func (t *table) distance(p dht.Peer) dht.ID { return p.ID.Xor(t.self.ID) }

// bucket is bucket i, nil if it is empty.
func (t *table) bucket(i int) bucket {
	if i >= len(t.buckets) {
		return nil
	}
	return t.buckets[i]
}

// set replaces bucket i and drops the empty ones at the end.
func (t *table) set(i int, b bucket) {
	for len(t.buckets) <= i {
		t.buckets = append(t.buckets, nil)
	}
	t.buckets[i] = b
	for n := len(t.buckets); n > 0 && len(t.buckets[n-1]) == 0; n-- {
		t.buckets = t.buckets[:n-1]
	}
}

// find returns p as it is held among siblings and buckets.
func (t *table) find(p dht.Peer) (held dht.Peer, ok bool) {
	if i := slices.IndexFunc(t.siblings, p.Same); i >= 0 {
		return t.siblings[i], true
	}
	b := t.bucket(t.prefix(t.self.ID, p.ID))
	if i := slices.IndexFunc(b, p.Same); i >= 0 {
		return b[i], true
	}
	return dht.Peer{}, false
}

// knows says whether p is held in this incarnation or a later one.
func (t *table) knows(p dht.Peer) bool {
	held, ok := t.find(p)
	return ok && held.Inc >= p.Inc
}

// wants says whether there would be a place for p, if it answered.
func (t *table) wants(p dht.Peer) bool {
	if p.ID == t.self.ID {
		return false
	}
	if held, ok := t.find(p); ok {
		return held.Inc < p.Inc
	}
	return t.isClose(p) || len(t.bucket(t.prefix(t.self.ID, p.ID))) < t.cfg.K
}

// tries says whether p is worth a ping: wanted, or with Proximity perhaps a faster peer
// for a full bucket.
func (t *table) tries(p dht.Peer) bool {
	if t.rtts == nil || t.wants(p) {
		return t.wants(p)
	}
	_, held := t.find(p)
	return !held && p.ID != t.self.ID && !slices.ContainsFunc(t.spare, p.Same)
}

// isClose says whether p belongs among the siblings.
func (t *table) isClose(p dht.Peer) bool {
	n := len(t.siblings)
	return n < t.cfg.Siblings || t.distance(p).Less(t.distance(t.siblings[n-1]))
}

// enter takes in p, which has answered this node a moment ago, so long after it was
// asked. An entry for an earlier incarnation of it goes. It says whether the siblings
// are others now.
func (t *table) enter(p dht.Peer, rtt time.Duration) (news bool) {
	if p.ID == t.self.ID {
		return false
	}
	t.spare = without(t.spare, p)
	if t.rtts != nil {
		t.rtts[p.Ref] = rtt
	}
	if i := slices.IndexFunc(t.siblings, p.Same); i >= 0 {
		news = t.siblings[i] != p
		t.siblings[i] = p
		return news
	}
	if !t.isClose(p) {
		t.place(p)
		t.cover = t.reach()
		return false
	}
	at := 0
	for at < len(t.siblings) && t.distance(t.siblings[at]).Less(t.distance(p)) {
		at++
	}
	t.siblings = slices.Insert(t.siblings, at, p)
	if last := len(t.siblings) - 1; last == t.cfg.Siblings {
		out := t.siblings[last]
		t.siblings = t.siblings[:last]
		t.place(out)
		t.cover = t.reach()
	}
	return true
}

// place puts p at the end of its bucket, as the one seen last. Who is in a full
// bucket stays, since who was there for long will be for longer (§2.2); p goes into
// the replacement cache then, or a slower one does.
func (t *table) place(p dht.Peer) {
	i := t.prefix(t.self.ID, p.ID)
	b := t.bucket(i)
	if at := slices.IndexFunc(b, p.Same); at >= 0 {
		copy(b[at:], b[at+1:])
		b[len(b)-1] = p
		return
	}
	if len(b) < t.cfg.K {
		t.set(i, append(b, p))
		return
	}
	if at := t.slowest(b); at >= 0 && t.rtt(p) < t.rtt(b[at]) {
		out := b[at]
		copy(b[at:], b[at+1:])
		b[len(b)-1] = p
		p = out
	}
	t.shelve(p)
}

// slowest is the place of the peer with the longest round trip; -1 without Proximity.
func (t *table) slowest(b bucket) int {
	at := -1
	if t.rtts == nil {
		return at
	}
	for i, p := range b {
		if at < 0 || t.rtt(p) > t.rtt(b[at]) {
			at = i
		}
	}
	return at
}

// rtt is the round trip to p, endless if it was not measured.
func (t *table) rtt(p dht.Peer) time.Duration {
	if rtt, ok := t.rtts[p.Ref]; ok {
		return rtt
	}
	return math.MaxInt64
}

// touch notes that p, in this incarnation, is alive.
func (t *table) touch(p dht.Peer) {
	b := t.bucket(t.prefix(t.self.ID, p.ID))
	if at := slices.Index(b, p); at >= 0 {
		copy(b[at:], b[at+1:])
		b[len(b)-1] = p
	}
}

// shelve puts p into the replacement cache, as the newest for its bucket.
func (t *table) shelve(p dht.Peer) {
	if _, held := t.find(p); held || p.ID == t.self.ID {
		return
	}
	delete(t.rtts, p.Ref)
	i := t.prefix(t.self.ID, p.ID)
	t.spare = append(without(t.spare, p), p)
	if list := t.spares(i); len(list) > maxSpare {
		t.spare = without(t.spare, list[0])
	}
}

// spares are the replacements for bucket i, oldest first.
func (t *table) spares(i int) []dht.Peer {
	var out []dht.Peer
	for _, p := range t.spare {
		if t.prefix(t.self.ID, p.ID) == i {
			out = append(out, p)
		}
	}
	return out
}

// remove drops p from wherever it is. It says whether p was a sibling, and whether it
// was in the table at all. The nearest peer of the buckets takes a sibling's place.
func (t *table) remove(p dht.Peer) (sibling, held bool) {
	t.spare = without(t.spare, p)
	delete(t.rtts, p.Ref)
	if at := slices.IndexFunc(t.siblings, p.Same); at >= 0 {
		t.siblings = slices.Delete(t.siblings, at, at+1)
		t.promote()
		return true, true
	}
	i := t.prefix(t.self.ID, p.ID)
	b := t.bucket(i)
	at := slices.IndexFunc(b, p.Same)
	if at >= 0 {
		t.set(i, slices.Delete(b, at, at+1))
	}
	return false, at >= 0
}

// promote makes the nearest peer of the buckets a sibling.
func (t *table) promote() {
	i := len(t.buckets) - 1
	if i < 0 {
		return
	}
	b := t.buckets[i]
	at := 0
	for j := range b {
		if t.distance(b[j]).Less(t.distance(b[at])) {
			at = j
		}
	}
	t.siblings = append(t.siblings, b[at])
	t.set(i, slices.Delete(b, at, at+1))
}

// peers visits all that is held, the replacement cache too.
func (t *table) peers(yield func(dht.Peer) bool) bool {
	for _, list := range [][]dht.Peer{t.siblings, t.spare} {
		for _, p := range list {
			if !yield(p) {
				return false
			}
		}
	}
	for _, b := range t.buckets {
		for _, p := range b {
			if !yield(p) {
				return false
			}
		}
	}
	return true
}

// without is list less p: list itself if p is not in it, else a new one.
func without(list []dht.Peer, p dht.Peer) []dht.Peer {
	if !slices.ContainsFunc(list, p.Same) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), p.Same)
}
