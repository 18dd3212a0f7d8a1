package koorde

import (
	"context"
	"fmt"
	"slices"
	"sort"

	"dyschord/dht"
)

const (
	// passes is how often all pointers are looked at, at speed, after joining.
	passes = 2
	// perChange is how many more looks at speed follow one that found something new:
	// so looks settle at the pace at which one in so many finds something.
	perChange = 3
)

// perPass is about how many looks cover all pointers: one tells of as many nodes as a
// successor list is long.
func (n *Node) perPass() int {
	return 1 + (n.cfg.pointers+backups)/n.cfg.ring.Successors
}

// refreshDue starts this round's looks: some while pointers change, one in a while when
// they do not.
func (n *Node) refreshDue() { n.pace.Round(n.env, "koorde.pointers", n.cfg.refresh, n.refresh) }

// refresh looks at one stretch of the pointers: it asks one of them for its neighbours
// on the ring, which shows as well that it lives, and goes on behind what that has
// covered. The anchor is looked up only if no pointer at or before k·m is left. It
// returns false if nothing was learnt.
func (n *Node) refresh(ctx context.Context) bool {
	if n.window().ahead(n.pointers) == 0 {
		return n.seek(ctx)
	}
	if int(n.next) >= len(n.pointers) {
		n.next = 0
	}
	return n.look(ctx, n.pointers[n.next])
}

// look takes over what p knows of the ring around it.
func (n *Node) look(ctx context.Context, p dht.Peer) bool {
	stretch, at := n.ring.Stretch(ctx, p)
	if len(stretch) == 0 {
		n.next++ // it may be busy, or is gone
		return false
	}
	if n.ring.Member() {
		n.learn(stretch, at)
	}
	return true
}

// learn enters a stretch of the ring into the pointers, and chooses whom to ask next.
func (n *Node) learn(stretch []dht.Peer, at int) {
	w := n.window()
	list := w.settle(n.pointers, stretch, at)
	n.next = w.after(n.pointers, list, stretch, at)
	if !slices.Equal(list, n.pointers) {
		n.pointers = list
		n.pace.Hurry(perChange)
	}
}

// seek looks the anchor up: the owner of k·m is the node after it.
func (n *Node) seek(ctx context.Context) bool {
	route, err := n.find(ctx, n.window().image, 1)
	n.env.Emit(dht.LookupDone{Route: route, Err: err, Upkeep: true})
	return err == nil && n.look(ctx, route.Owners[0])
}

// borrow takes over the pointers of the predecessor, which begin a little before where
// this node's belong; it may not be known yet, then those of the successor. Until
// somebody has pointers to lend, this node has none.
func (n *Node) borrow(ctx context.Context) {
	for _, p := range []dht.Peer{n.ring.Predecessor(), n.ring.Successor()} {
		if p.IsZero() || p.Same(n.env.Self()) {
			continue
		}
		reply, err := dht.Ask[*held](ctx, n.env, p, &read{})
		if err == nil {
			err = reply.validate()
		}
		if err != nil {
			n.env.Log().Debug("no pointers to borrow", "peer", p, "err", err)
			continue
		}
		if len(reply.Pointers) > 0 {
			n.pointers = n.window().cut(slices.Clone(reply.Pointers))
			return
		}
	}
}

// dropPointer forgets a dead peer. Its neighbours are looked at soon.
func (n *Node) dropPointer(p dht.Peer) {
	if i := slices.IndexFunc(n.pointers, p.Same); i >= 0 {
		n.pointers = n.pointers.without(p)
		n.next = uint8(max(0, i-1))
		n.pace.Hurry(perChange)
	}
}

// prefill is the pointers of a node that knows everybody.
func (w window) prefill(sorted []dht.Peer) pointers {
	after := sort.Search(len(sorted), func(i int) bool { return w.image.Less(sorted[i].ID) })
	list := make([]dht.Peer, 0, backups+w.size)
	for i := range min(len(sorted), backups+w.size) {
		list = append(list, sorted[(after+len(sorted)-1-backups%len(sorted)+i)%len(sorted)])
	}
	return w.cut(list)
}

// validate refuses a list that is too long, or has nobody or a peer twice in it.
func (m *held) validate() error {
	if len(m.Pointers) > dht.MaxPeers {
		return fmt.Errorf("koorde: %d pointers, at most %d are allowed: %w", len(m.Pointers), dht.MaxPeers, dht.ErrMalformed)
	}
	for i, p := range m.Pointers {
		if p.IsZero() || slices.ContainsFunc(m.Pointers[:i], p.Same) {
			return fmt.Errorf("koorde: pointer %d is %s: %w", i, p, dht.ErrMalformed)
		}
	}
	return nil
}
