package kademlia

import (
	"context"
	"fmt"

	"dyschord/dht"
	"dyschord/dht/lookup"
)

// Node is one member of a Kademlia overlay. It implements [dht.Overlay].
type Node struct {
	env     dht.Env
	cfg     *settings
	lookups *lookup.Driver[none]
	table   table
	contacts
	upkeep
	member bool
	stop   func() // ends the upkeep; nil while there is none
}

// none is the state of a Kademlia lookup: the key says it all.
type none struct{}

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
		n := &Node{env: env, cfg: set, table: newTable(set, env.Self())}
		n.lookups = lookup.New(env, (*router)(n), set.Space, set.lookup)
		return n
	}, nil
}

// Kinds lists the messages of upkeep and of lookups.
func (n *Node) Kinds() []dht.Kind { return append(kinds(), n.lookups.Kinds()...) }

// Handle answers a request, or refuses it while this node is not a member: it would
// answer from tables that say nothing.
func (n *Node) Handle(from dht.Peer, req dht.Message, r dht.Reply) {
	if !n.member {
		r.Send(nil, fmt.Errorf("kademlia: %s is not a member: %w", n.env.Self(), dht.ErrRejected))
		return
	}
	switch m := req.(type) {
	case *ping:
		r.Send(&pong{}, nil)
	case *near:
		n.handleNear(from, m, r)
	case *leave:
		if held, ok := n.table.find(from); !ok || held.Inc <= from.Inc {
			n.forget(from)
		}
		r.Send(&pong{}, nil)
		return
	default:
		if !n.lookups.Handle(req, r) {
			r.Send(nil, dht.ErrUnknownMessage)
			return
		}
	}
	n.heard(from)
}

// Lookup finds up to count live owners of key: the nodes of least XOR distance to it.
// (§2.3, the node lookup.)
func (n *Node) Lookup(ctx context.Context, key dht.ID, count int) (dht.Route, error) {
	route, err := n.look(ctx, key, count)
	n.env.Emit(dht.LookupDone{Route: route, Err: err})
	return route, err
}

// look is Lookup without its event.
func (n *Node) look(ctx context.Context, key dht.ID, count int) (dht.Route, error) {
	if !n.member {
		return dht.Route{Key: key}, fmt.Errorf("kademlia: lookup %s before joining: %w", key, dht.ErrNoRoute)
	}
	route, err := n.lookups.Lookup(ctx, key, count)
	if err != nil {
		return route, fmt.Errorf("kademlia: %w", err)
	}
	return route, nil
}

// Near names the closest peers known, this node among them. It is sure if they are
// among the siblings that share so many bits with this node that none can be missing.
func (n *Node) Near(key dht.ID, count int) (peers []dht.Peer, sure bool) {
	if !n.member || count < 1 {
		return nil, false
	}
	count = min(count, dht.MaxOwners)
	best := n.table.closest(key, count)
	return best.peers(count), n.table.covers(key, count)
}
