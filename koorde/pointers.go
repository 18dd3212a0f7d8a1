package koorde

import (
	"slices"

	"dyschord/dht"
)

// pointers are the de Bruijn pointers of a node m: a stretch of the ring around k·m,
// clockwise. It begins with a few backups, then comes the anchor, which is the last
// node at or before k·m, and then the nodes after that. m itself may be among them.
// Lists are replaced, never edited.
type pointers []dht.Peer

// window is where a node's pointers belong.
type window struct {
	graph
	image dht.ID // k·m
	size  int    // of the pointers from the anchor on
}

// before says whether id is at or before the image: nearer to it going clockwise than
// going back.
func (w window) before(id dht.ID) bool {
	half := w.space.Pow2(w.space.Width() - 1)
	return w.space.Sub(w.image, id).Less(half)
}

// ahead counts the pointers at or before the image: the anchor and its backups.
func (w window) ahead(list pointers) int {
	n := slices.IndexFunc(list, func(p dht.Peer) bool { return !w.before(p.ID) })
	if n < 0 {
		return len(list)
	}
	return n
}

// settle returns the pointers after a look at a stretch of the ring. Its node at `at`
// has named its predecessor and its successors: so what was known between that node
// and the last of them is gone. Between the predecessor and that node, which may not
// know of each other yet, it is kept.
func (w window) settle(list pointers, stretch []dht.Peer, at int) pointers {
	from, to := stretch[at], stretch[len(stretch)-1]
	merged := slices.Clone(stretch)
	for _, p := range list {
		known := slices.ContainsFunc(stretch, p.Same)
		if !known && (from.Same(to) || !dht.Between(from.ID, p.ID, to.ID)) {
			merged = append(merged, p)
		}
	}
	return w.cut(merged)
}

// after is the place of the pointer to be asked next, once a stretch has made old into
// list. As long as backups are missing and come, that is the first; else the last one
// that the stretch told of, until this is the end of the list and of what it may hold.
func (w window) after(old, list pointers, stretch []dht.Peer, at int) uint8 {
	ahead := w.ahead(list)
	if ahead <= backups && list[0].Same(stretch[0]) && !slices.ContainsFunc(old, stretch[0].Same) {
		return 0
	}
	last := slices.IndexFunc(list, stretch[len(stretch)-1].Same)
	full := len(list) >= max(ahead-1, 0)+w.size
	if last < 0 || last == len(list)-1 && (full || list[last].Same(stretch[at])) {
		return 0
	}
	return uint8(last)
}

// cut orders peers around the image and keeps those nearest to it on either side: the
// anchor and its backups, and what else belongs to the pointers.
func (w window) cut(peers []dht.Peer) pointers {
	// From the point farthest ahead of the image, round to the one opposite.
	farthest := w.space.Add(w.image, w.space.Pow2(w.space.Width()-1).Or(dht.NewID(0, 1)))
	slices.SortFunc(peers, func(a, b dht.Peer) int {
		return w.space.Sub(a.ID, farthest).Cmp(w.space.Sub(b.ID, farthest))
	})
	image := w.ahead(peers)
	first := max(0, image-1-backups)
	last := min(len(peers), max(image-1, 0)+w.size)
	return slices.Clone(pointers(peers[first:last]))
}

// reach says whether id lies within the stretch of the ring that the pointers cover, so
// that the node before it is known.
func (p pointers) reach(id dht.ID) bool {
	return len(p) > 1 && dht.BetweenIncl(p[0].ID, id, p[len(p)-1].ID)
}

// preceding lists up to n pointers before next, an imaginary node that was shifted from
// one just behind m and so lies just behind the image: the closest to it first. Any of
// them is a legal next hop; the farther ones are slower.
func (w window) preceding(list pointers, next dht.ID, n int) []dht.Peer {
	end := 0
	switch {
	case list.reach(next):
		end = slices.IndexFunc(list[1:], func(p dht.Peer) bool { return dht.BetweenIncl(list[0].ID, next, p.ID) }) + 1
	case len(list) > 0 && (w.before(list[0].ID) || w.distance(list[0].ID).Less(w.distance(next))):
		end = len(list) // beyond the last one
	}
	out := slices.Clone(list[max(0, end-n):end])
	slices.Reverse(out)
	return out
}

// distance is how far id lies behind the image.
func (w window) distance(id dht.ID) dht.ID { return w.space.Sub(id, w.image) }

// without returns the pointers without p.
func (p pointers) without(gone dht.Peer) pointers {
	return slices.DeleteFunc(slices.Clone(p), gone.Same)
}

// covered is the last point behind m from which an edge of the graph leads to where the
// pointers of m reach; m itself if there is none.
func (w window) covered(m dht.ID, list pointers) dht.ID {
	if len(list) == 0 || w.before(list[len(list)-1].ID) {
		return m
	}
	return w.space.Add(m, w.distance(list[len(list)-1].ID).Shr(w.digit))
}
