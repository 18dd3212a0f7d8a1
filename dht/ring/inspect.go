package ring

import (
	"fmt"

	"dyschord/dht"
)

// Sections shows the predecessor and the successor list.
func (r *Ring) Sections() []dht.Section {
	var pred []dht.Entry
	if !r.pred.IsZero() {
		pred = []dht.Entry{{Label: "predecessor", Peer: r.pred}}
	}
	succ := make([]dht.Entry, len(r.succ))
	for i, p := range r.succ {
		succ[i] = dht.Entry{Label: fmt.Sprintf("successor %d", i+1), Peer: p}
	}
	return []dht.Section{{Name: "predecessor", Entries: pred}, {Name: "successors", Entries: succ}}
}

// Near answers from local knowledge who the n owners of key are: for sure within the
// reach of the successor list (see [Ring.Sure]), and beyond it as the best guess from
// all that is known, the given peers included. It is nobody before joining.
func (r *Ring) Near(key dht.ID, n int, more []dht.Peer) (peers []dht.Peer, sure bool) {
	if !r.member || n < 1 {
		return nil, false
	}
	s := r.cfg.Space
	after := func(id dht.ID) dht.ID { return s.Sub(id, key) }
	owners := r.Owners(key, n)
	if r.Sure(key, n) {
		return owners, true
	}
	for _, p := range Closest(n, after, []dht.Peer{r.env.Self(), r.pred}, r.succ, more) {
		if len(owners) == 0 || len(owners) < n && after(owners[len(owners)-1].ID).Less(after(p.ID)) {
			owners = append(owners[:len(owners):len(owners)], p)
		}
	}
	return owners, false
}

// Closest picks the n distinct peers of least distance from the lists, the closest
// first. Nobody is not picked.
func Closest(n int, distance func(dht.ID) dht.ID, lists ...[]dht.Peer) []dht.Peer {
	best := make([]dht.Peer, 0, n+1)
	for _, list := range lists {
		for _, p := range list {
			best = insert(best, p, n, distance)
		}
	}
	return best
}

func insert(best []dht.Peer, p dht.Peer, n int, distance func(dht.ID) dht.ID) []dht.Peer {
	if p.IsZero() {
		return best
	}
	at, d := len(best), distance(p.ID)
	for at > 0 && d.Less(distance(best[at-1].ID)) {
		at--
	}
	if at == n || at > 0 && best[at-1].Same(p) {
		return best
	}
	best = append(best, p)
	copy(best[at+1:], best[at:])
	best[at] = p
	return best[:min(len(best), n)]
}
