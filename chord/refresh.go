package chord

import (
	"context"
	"math/bits"
	"slices"

	"dyschord/dht"
)

// refreshDue starts this round's refreshes (Stoica §5.1, fix_fingers): some while
// fingers are due, one in a while when none is.
func (n *Node) refreshDue() { n.pace.Round(n.env, "chord.fingers", n.cfg.fingers, n.fixFinger) }

// want makes the fingers of octaves from..to due, to be refreshed soon.
func (n *Node) want(from, to int) {
	before := size(n.due)
	for i := from; i <= to; i++ {
		n.due = n.due.Or(n.cfg.space.Pow2(uint(i)))
	}
	n.pace.Hurry(size(n.due) - before)
}

// wantAll makes all fingers due: nodes have come or gone in one place, so they may have
// elsewhere.
func (n *Node) wantAll() {
	n.want(firstFinger(n.cfg.space, n.env.Self().ID, n.ring.Successors()), int(n.cfg.space.Width())-1)
}

func (n *Node) isDue(i int) bool { return n.due.Shr(uint(i)).Lo()&1 == 1 }

// settled notes that the fingers of octaves from..to are up to date.
func (n *Node) settled(from, to int) {
	for i := from; i <= to; i++ {
		n.due = n.due.And(n.due.Xor(n.cfg.space.Pow2(uint(i))))
	}
	n.next = to + 1
}

func size(set dht.ID) int { return bits.OnesCount64(set.Hi()) + bits.OnesCount64(set.Lo()) }

// turn is the finger to refresh now: the next that is due, round the table, or simply
// the next.
func (n *Node) turn(first int) int {
	width := int(n.cfg.space.Width())
	next := n.next
	if next < first || next >= width {
		next = first
	}
	for _, from := range []int{next, first} {
		for i := from; i < width; i++ {
			if n.isDue(i) {
				return i
			}
		}
	}
	return next
}

// fixFinger brings one finger up to date and goes on to the next that may be another
// node. It returns false if it made no progress.
func (n *Node) fixFinger(ctx context.Context) bool {
	s, self := n.cfg.space, n.env.Self()
	first := firstFinger(s, self.ID, n.ring.Successors())
	n.trimFingers(first)
	if first >= int(s.Width()) {
		n.due = dht.ID{}
		return false // the successor list reaches round the ring, or half of it
	}
	i := n.turn(first)
	found, err := n.choose(ctx, i)
	if err != nil || !n.ring.Member() {
		n.next = i + 1
		return false
	}
	n.setFinger(i, found)
	return true
}

// choose finds a node to be finger i.
func (n *Node) choose(ctx context.Context, i int) (dht.Peer, error) {
	if n.cfg.proximity {
		return n.nearest(ctx, i)
	}
	return n.first(ctx, i)
}

// first finds the first node from the start of finger i on. The present finger is asked
// before others: while nothing has changed it is the owner of that point, and one
// request settles the matter.
func (n *Node) first(ctx context.Context, i int) (dht.Peer, error) {
	from := start(n.cfg.space, n.env.Self().ID, i)
	if p, ok := n.table.finger(n.cfg.space, n.env.Self().ID, i); ok {
		if owner, err := n.settle(n.lookups.Via(ctx, p, from, 1)); err == nil {
			return owner, nil
		}
		n.ring.Suspect(p, p)
	}
	return n.settle(n.find(ctx, from, 1))
}

// settle reports a lookup made for the fingers, and returns its owner.
func (n *Node) settle(route dht.Route, err error) (dht.Peer, error) {
	n.env.Emit(dht.LookupDone{Route: route, Err: err, Upkeep: true})
	if err != nil {
		return dht.Peer{}, err
	}
	return route.Owners[0], nil
}

// setFinger enters p, which was found for finger i.
func (n *Node) setFinger(i int, p dht.Peer) {
	s, self := n.cfg.space, n.env.Self()
	if p.Same(self) || s.Sub(p.ID, self.ID).Less(s.Pow2(uint(i))) {
		// Nobody stands between that point and this node.
		if j := slices.IndexFunc(n.table, func(old dht.Peer) bool { return octave(s, self.ID, old.ID) >= i }); j >= 0 {
			n.table = slices.Clone(n.table[:j])
			n.wantAll()
		}
		n.settled(i, int(s.Width())-1)
		return
	}
	old, ok := n.table.finger(s, self.ID, i)
	if !ok || old != p {
		n.table = n.table.set(s, self.ID, i, p)
	}
	if news := ok && old != p && !n.cfg.proximity || !ok && !n.isDue(i); news {
		n.wantAll()
	}
	n.settled(i, octave(s, self.ID, p.ID))
}

// trimFingers forgets fingers that the successor list has come to serve for.
func (n *Node) trimFingers(first int) {
	s, self := n.cfg.space, n.env.Self().ID
	if i := slices.IndexFunc(n.table, func(p dht.Peer) bool { return octave(s, self, p.ID) >= first }); i != 0 {
		if i < 0 {
			i = len(n.table)
		}
		n.table = slices.Clone(n.table[i:])
	}
}

// dropFinger forgets a dead peer and has its finger looked up soon.
func (n *Node) dropFinger(p dht.Peer) {
	if slices.ContainsFunc(n.table, p.Same) {
		n.table = n.table.without(p)
		top := octave(n.cfg.space, n.env.Self().ID, p.ID)
		n.want(top, top)
	}
}
