package koorde

import (
	"context"
	"fmt"

	"dyschord/dht"
	"dyschord/dht/lookup"
	"dyschord/dht/ring"
)

// Node is one member of a Koorde ring. It implements [dht.Overlay].
type Node struct {
	env      dht.Env
	cfg      *settings
	ring     *ring.Ring
	lookups  *lookup.Driver[walk]
	pointers pointers
	next     uint8 // place of the pointer to be asked next
	pace     ring.Pace
}

var (
	_ dht.Overlay   = (*Node)(nil)
	_ dht.Prefiller = (*Node)(nil)
)

// Factory checks cfg and returns the function that makes nodes of it.
func Factory(cfg Config) (dht.Factory, error) {
	set, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	return func(env dht.Env) dht.Overlay {
		n := &Node{env: env, cfg: set}
		n.ring = ring.New(env, (*host)(n), set.ring)
		n.lookups = lookup.New(env, (*router)(n), set.space, set.lookup)
		return n
	}, nil
}

// Kinds lists the messages of ring upkeep, of lookups and of Koorde.
func (n *Node) Kinds() []dht.Kind {
	return append(append(n.ring.Kinds(), n.lookups.Kinds()...), kinds()...)
}

// Handle answers a request, or refuses it while this node is not a member: it would
// answer from tables that say nothing.
func (n *Node) Handle(from dht.Peer, req dht.Message, r dht.Reply) {
	if !n.ring.Member() {
		r.Send(nil, fmt.Errorf("koorde: %s is not a member of the ring: %w", n.env.Self(), dht.ErrRejected))
		return
	}
	if n.ring.Handle(from, req, r) || n.lookups.Handle(req, r) {
		return
	}
	if _, ok := req.(*read); ok {
		r.Send(&held{Pointers: n.pointers}, nil)
		return
	}
	r.Send(nil, dht.ErrUnknownMessage)
}

// Join enters the ring of the seeds, trying each once, or founds one.
func (n *Node) Join(ctx context.Context, seeds ...dht.Peer) error {
	if n.ring.Member() {
		return nil
	}
	n.pointers = nil
	if err := n.ring.Join(ctx, seeds); err != nil {
		return fmt.Errorf("koorde: %w", err)
	}
	n.borrow(ctx)
	n.start(passes * n.perPass())
	n.env.Log().Info("joined", "peer", n.ring.Successor())
	return nil
}

// start begins the upkeep. Nodes that start together do not refresh together.
func (n *Node) start(refreshes int) {
	n.pace.Calm(n.env, n.cfg.refresh)
	n.pace.Hurry(refreshes)
	n.ring.Start("koorde.upkeep", n.refreshDue)
}

// Leave says good-bye to the neighbours and stops the upkeep.
func (n *Node) Leave(ctx context.Context) error {
	if err := n.ring.Leave(ctx); err != nil {
		return fmt.Errorf("koorde: %w", err)
	}
	n.env.Log().Info("left")
	return nil
}

// Lookup finds up to count live owners of key: its successor and the nodes after
// that. (The paper's LOOKUP.)
func (n *Node) Lookup(ctx context.Context, key dht.ID, count int) (dht.Route, error) {
	route, err := n.find(ctx, key, count)
	n.env.Emit(dht.LookupDone{Route: route, Err: err})
	return route, err
}

// find is Lookup without its event.
func (n *Node) find(ctx context.Context, key dht.ID, count int) (dht.Route, error) {
	if !n.ring.Member() {
		return dht.Route{Key: key}, fmt.Errorf("koorde: lookup %s before joining: %w", key, dht.ErrNoRoute)
	}
	route, err := n.lookups.Lookup(ctx, key, count)
	if err != nil {
		return route, fmt.Errorf("koorde: %w", err)
	}
	return route, nil
}

// Near answers from the successor list, and beyond it names the best peers known.
func (n *Node) Near(key dht.ID, count int) (peers []dht.Peer, sure bool) {
	return n.ring.Near(key, count, n.pointers)
}

// Prefill enters the ring with the tables that full knowledge gives.
func (n *Node) Prefill(sorted []dht.Peer) {
	n.ring.Prefill(sorted)
	n.pointers = n.window().prefill(sorted)
	n.start(0)
}

// window is where this node's pointers belong.
func (n *Node) window() window {
	return window{n.cfg.graph, n.cfg.edges(n.env.Self().ID), n.cfg.pointers}
}

// host is the node as its ring sees it.
type host Node

// Locate looks key up beginning at via.
func (h *host) Locate(ctx context.Context, via dht.Peer, key dht.ID, count int) ([]dht.Peer, error) {
	route, err := h.lookups.Via(ctx, via, key, count)
	return route.Owners, err
}

// Lost drops a dead peer from the pointers, and that one alone.
func (h *host) Lost(p dht.Peer) { (*Node)(h).dropPointer(p) }

// Table is the pointers.
func (h *host) Table() []dht.Peer { return h.pointers }
