package onehop

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"dyschord/dht"
	"dyschord/dht/lookup"
	"dyschord/dht/ring"
)

// Config is the settings of the overlay. The zero value is the default.
type Config struct {
	Space      dht.Space     // of identifiers; all members agree on it. Default 128 bits
	Lookup     lookup.Config // the policy of lookups, the same for all algorithms
	Successors int           // the neighbours that a node watches over, 1 to 32; default 8
}

// Node is one member. It implements [dht.Overlay] and [dht.Prefiller].
type Node struct {
	env     dht.Env
	space   dht.Space
	ring    *ring.Ring
	lookups *lookup.Driver[none]
	members []dht.Peer // everybody, by ID
	events  []event    // latest first
	cursor  dht.ID     // where the next page to be read begins
}

// Factory checks cfg and returns the function that makes nodes of it.
func Factory(cfg Config) (dht.Factory, error) {
	policy, err := cfg.Lookup.Resolve()
	upkeep, wrong := ring.Config{Space: cfg.Space, Successors: cfg.Successors}.Resolve()
	if err := errors.Join(err, wrong); err != nil {
		return nil, fmt.Errorf("onehop: %w", err)
	}
	return func(env dht.Env) dht.Overlay {
		n := &Node{env: env, space: cfg.Space}
		n.ring, n.lookups = ring.New(env, (*host)(n), upkeep), lookup.New(env, (*router)(n), cfg.Space, policy)
		return n
	}, nil
}

// Kinds lists the messages of the ring, of lookups, and one more.
func (n *Node) Kinds() []dht.Kind {
	gossips := []dht.Kind{{Code: 96, Name: "onehop_gossip", New: func() dht.Message { return new(gossip) }}}
	return slices.Concat(n.ring.Kinds(), n.lookups.Kinds(), gossips)
}

// Handle answers a request, or refuses it while this node is not a member.
func (n *Node) Handle(from dht.Peer, req dht.Message, r dht.Reply) {
	m, ours := req.(*gossip)
	switch {
	case !n.ring.Member():
		r.Send(nil, fmt.Errorf("onehop: %s is not a member: %w", n.env.Self(), dht.ErrRejected))
	case ours:
		n.answer(from, m, r)
	case !n.ring.Handle(from, req, r) && !n.lookups.Handle(req, r):
		r.Send(nil, dht.ErrUnknownMessage)
	}
}

// Join enters the ring of the seeds, or founds one, and reads the successor's table.
func (n *Node) Join(ctx context.Context, seeds ...dht.Peer) error {
	if err := n.ring.Join(ctx, seeds); err != nil {
		return fmt.Errorf("onehop: %w", err)
	}
	n.start(nil)
	n.learn(n.env.Self())
	for i := 0; i < maxMembers/page && n.exchange(ctx, n.ring.Successor()) && n.cursor != (dht.ID{}); i++ {
	}
	return nil
}

// Prefill enters the overlay of exactly these nodes.
func (n *Node) Prefill(sorted []dht.Peer) {
	n.ring.Prefill(sorted)
	n.start(slices.Clone(sorted))
}

func (n *Node) start(members []dht.Peer) {
	n.members, n.events, n.cursor = members, nil, dht.ID{}
	n.ring.Start("onehop.upkeep", func() { n.env.Go("onehop.gossip", n.upkeep) })
}

// Leave says good-bye to the neighbours, who spread it.
func (n *Node) Leave(ctx context.Context) error { return n.ring.Leave(ctx) }

// Lookup finds up to count live owners of key: the first members from it on.
func (n *Node) Lookup(ctx context.Context, key dht.ID, count int) (dht.Route, error) {
	route, err := n.lookups.Lookup(ctx, key, count)
	n.env.Emit(dht.LookupDone{Route: route, Err: err})
	return route, err
}

// Near is sure within the reach of the ring's neighbours. The table knows the rest.
func (n *Node) Near(key dht.ID, count int) (peers []dht.Peer, sure bool) {
	if peers, sure = n.ring.Near(key, count, nil); sure || len(peers) == 0 {
		return peers, sure
	}
	at, _ := n.place(key)
	from, wrapped := n.members[at:min(at+count, len(n.members))], n.members[:min(at, count)]
	return ring.Closest(count, func(id dht.ID) dht.ID { return n.space.Sub(id, key) }, peers, from, wrapped), false
}

// Peers visits every peer the node holds, some twice.
func (n *Node) Peers() iter.Seq[dht.Peer] {
	return func(yield func(dht.Peer) bool) {
		if n.ring.Peers(yield) {
			slices.Values(n.members)(yield)
		}
	}
}

// Table shows the neighbours, and everybody.
func (n *Node) Table() dht.Table {
	all := dht.Section{Name: "members"}
	for _, p := range n.members {
		all.Entries = append(all.Entries, dht.Entry{Label: "member", Peer: p})
	}
	return dht.Table{Algorithm: "onehop", Self: n.env.Self(), Sections: append(n.ring.Sections(), all)}
}

// Explain says why a hop was taken.
func (n *Node) Explain(dht.Reason) string { return "the first member from the key on" }

// Predecessor and Successors let the conformance suite check the ring as well.
func (n *Node) Predecessor() dht.Peer  { return n.ring.Predecessor() }
func (n *Node) Successors() []dht.Peer { return n.ring.Successors() }

type (
	host   Node     // the node as its ring sees it
	router Node     // and as its lookups do: it names no steps, only owners
	none   struct{} // the state of a lookup: the key says it all
)

func (h *host) Locate(ctx context.Context, via dht.Peer, key dht.ID, count int) ([]dht.Peer, error) {
	route, err := h.lookups.Via(ctx, via, key, count)
	return route.Owners, err
}

func (h *host) Table() []dht.Peer { return h.members }

func (h *host) Lost(p dht.Peer) {
	if at, found := (*Node)(h).place(p.ID); found && h.members[at].Same(p) {
		h.members = slices.Delete(h.members, at, at+1)
		(*Node)(h).happened(p, true)
	}
}

func (r *router) Begin(dht.ID) none                                        { return none{} }
func (r *router) Nearer(dht.ID, lookup.Step[none], lookup.Step[none]) bool { return false }
func (r *router) Answered(dht.Peer, time.Duration)                         {}
func (r *router) Suspect(p dht.Peer)                                       { r.ring.Suspect(p, r.members...) }

func (r *router) Before(key dht.ID, a, b dht.Peer) bool {
	return r.space.Sub(a.ID, key).Less(r.space.Sub(b.ID, key))
}

func (r *router) Next(key dht.ID, _ none, n int) ([]lookup.Step[none], []dht.Peer) {
	return nil, r.Owners(key, n)
}

func (r *router) Owners(key dht.ID, n int) []dht.Peer {
	owners, _ := (*Node)(r).Near(key, n)
	return owners
}

const (
	page                  = dht.MaxPeers / 2 // members in a reply, and news in any message
	fresh                 = 10 * time.Second // how long a node tells an event
	remember              = 2 * time.Minute  // how long it distrusts those who have not heard of a death
	maxEvents, maxMembers = 1024, 8192
)

// event is that a node has come or gone.
type event struct {
	dht.Peer
	gone  bool
	heard time.Time
}

// gossip is request and reply: the news. The reply also has a page of the table, from
// the first member at or after From on; its From is the start of the next, 0 at the end.
type gossip struct {
	Live []dht.Peer `cbor:"1,keyasint,omitempty"`
	Gone []dht.Peer `cbor:"2,keyasint,omitempty"`
	From dht.ID     `cbor:"3,keyasint"`
}

func (*gossip) Code() uint16 { return 96 } // from the range of overlays that are not the project's

func (m *gossip) EachPeer(f func(*dht.Peer)) {
	for _, list := range [][]dht.Peer{m.Live, m.Gone} {
		for i := range list {
			f(&list[i])
		}
	}
}

// place is that of the first member at or after id, and whether it stands there.
func (n *Node) place(id dht.ID) (int, bool) {
	return slices.BinarySearchFunc(n.members, id, func(p dht.Peer, id dht.ID) int { return p.ID.Cmp(id) })
}

// happened makes an event the latest.
func (n *Node) happened(p dht.Peer, gone bool) {
	n.events = slices.DeleteFunc(n.events, func(e event) bool { return e.Same(p) })
	n.events = slices.Insert(n.events[:min(len(n.events), maxEvents-1)], 0, event{p, gone, n.env.Now()})
}

// learn enters p. If that run of it has ended, the others had better hear so again.
func (n *Node) learn(p dht.Peer) {
	at, found := n.place(p.ID)
	switch ended := func(e event) bool { return e.gone && e.Same(p) && e.Inc >= p.Inc }; {
	case found && (n.members[at].Inc >= p.Inc || !n.members[at].Same(p)): // nothing new
	case slices.ContainsFunc(n.events, ended):
		n.happened(p, true)
	case found:
		n.members[at] = p
		n.happened(p, false)
	case len(n.members) < maxMembers:
		n.members = slices.Insert(n.members, at, p)
		n.happened(p, false)
	}
}

// news is what has happened of late.
func (n *Node) news() *gossip {
	m := &gossip{From: n.cursor}
	for _, e := range n.events[:min(len(n.events), page)] {
		switch {
		case n.env.Now().Sub(e.heard) > fresh:
		case e.gone:
			m.Gone = append(m.Gone, e.Peer)
		default:
			m.Live = append(m.Live, e.Peer)
		}
	}
	return m
}

// hear enters those said to live. Those said to be gone are asked: mistakes end there.
func (n *Node) hear(m *gossip) error {
	all := slices.Concat(m.Live, m.Gone)
	if len(all) > dht.MaxPeers || slices.ContainsFunc(all, dht.Peer.IsZero) {
		return fmt.Errorf("onehop: gossip of %d peers, or of nobody: %w", len(all), dht.ErrMalformed)
	}
	for _, p := range m.Live {
		n.learn(p)
	}
	for _, p := range m.Gone {
		n.ring.Suspect(p, n.members...)
	}
	return nil
}

// answer hears a request. Whoever asks is alive, whatever was said.
func (n *Node) answer(from dht.Peer, m *gossip, r dht.Reply) {
	n.events = slices.DeleteFunc(n.events, func(e event) bool { return e.gone && e.Same(from) })
	n.learn(from)
	err := n.hear(m)
	at, _ := n.place(m.From)
	end := min(at+page, len(n.members))
	reply := n.news()
	reply.Live = append(reply.Live, n.members[at:end]...)
	if reply.From = (dht.ID{}); end < len(n.members) {
		reply.From = n.members[end].ID
	}
	r.Send(reply, err)
}

// exchange tells p the news and hears its own. It says whether p has answered.
func (n *Node) exchange(ctx context.Context, p dht.Peer) bool {
	reply, err := dht.Ask[*gossip](ctx, n.env, p, n.news())
	if err != nil || n.hear(reply) != nil {
		n.ring.Suspect(p, p)
		return false
	}
	n.cursor = reply.From
	return true
}

// upkeep forgets what is old, and gossips with anybody.
func (n *Node) upkeep(ctx context.Context) {
	n.events = slices.DeleteFunc(n.events, func(e event) bool { return n.env.Now().Sub(e.heard) > remember })
	n.exchange(ctx, n.members[n.env.Rand().IntN(len(n.members))])
}
