package kademlia

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"dyschord/dht"
)

// Join enters the overlay of the seeds, trying each once, or founds one when there are
// none. It fails with ErrTaken if another node has this one's identifier.
func (n *Node) Join(ctx context.Context, seeds ...dht.Peer) error {
	if n.member {
		return nil
	}
	// What an earlier membership has left says nothing of this one, but for its seeds:
	// a node that founds because none of them has answered looks for them later.
	n.table = newTable(n.cfg, n.env.Self())
	kept := n.seeds
	if len(seeds) > 0 {
		kept = slices.Clone(seeds[:min(len(seeds), maxSeeds)])
	}
	n.contacts = contacts{seeds: kept}
	if len(seeds) == 0 {
		n.found()
		return nil
	}
	failed := fmt.Errorf("kademlia: join: this node is its own only seed: %w", dht.ErrNoRoute)
	for _, seed := range seeds {
		if seed.Same(n.env.Self()) {
			continue
		}
		err := n.joinVia(ctx, seed)
		if err == nil {
			n.env.Log().Info("joined", "peer", seed)
			return nil
		}
		if failed = fmt.Errorf("kademlia: join via %s: %w", seed, err); ctx.Err() != nil || errors.Is(err, dht.ErrClosed) {
			break
		}
	}
	return failed
}

// found is the first member, who knows all others: nobody.
func (n *Node) found() {
	n.member = true
	n.table.confirm()
	n.start()
}

// joinVia looks this node's own identifier up, beginning at seed (§2.3). Whoever
// answers on the way enters the table.
func (n *Node) joinVia(ctx context.Context, seed dht.Peer) error {
	self := n.env.Self()
	route, err := n.lookups.Via(ctx, seed, self.ID, min(8, n.cfg.Siblings+1))
	if err != nil {
		return err
	}
	owners := without(route.Owners, self) // an earlier run of this node
	if len(owners) == 0 {
		return dht.ErrNoRoute
	}
	if owners[0].ID == self.ID {
		return fmt.Errorf("identifier %s belongs to another node: %w", self.ID, dht.ErrTaken)
	}
	n.member = true
	n.start()
	n.agreed, n.introducing = 0, true
	n.introduce(ctx)
	n.introducing = false
	return nil
}

// introduce fills the tables of a newcomer, and makes it known: whom it asks takes it
// in. It asks all siblings for others, until nobody names any, and then somebody in
// each of the buckets beyond, as the paper refreshes these.
func (n *Node) introduce(ctx context.Context) {
	var asked []dht.Peer
	for range maxIntroductions {
		next := slices.DeleteFunc(slices.Clone(n.table.siblings), func(p dht.Peer) bool {
			return slices.ContainsFunc(asked, p.Same)
		})
		if len(next) == 0 {
			n.table.confirm()
			break
		}
		asked = append(asked, next...)
		requests := make([]request, len(next))
		for i, p := range next {
			requests[i] = request{p, n.question()}
		}
		n.meet(ctx, n.exchange(ctx, requests))
	}
	var requests []request
	for i := range n.table.depth() {
		if b := n.table.bucket(i); len(b) > 0 {
			requests = append(requests, request{b[0], n.refreshment(i)})
		}
	}
	n.meet(ctx, n.exchange(ctx, requests))
}

const (
	maxSeeds         = 32
	maxIntroductions = 4 // rounds of questions to new siblings
)

// start begins the upkeep: one periodic activity, so that a node at rest is small.
func (n *Node) start() {
	n.upkeep = upkeep{agreed: len(n.table.siblings)}
	if n.stop != nil {
		return
	}
	// Nodes that start together must not refresh their buckets together.
	n.sinceRefresh = n.env.Rand().IntN(n.cfg.Refresh)
	d := n.cfg.Interval
	n.stop = n.env.Every("kademlia.upkeep", d, d/10, n.round)
}

// Leave ends the membership: requests are refused from now on, and the siblings are
// told. One that does not answer will find out by itself, so there is no error for it.
func (n *Node) Leave(ctx context.Context) error {
	if n.stop != nil {
		n.stop()
		n.stop = nil
	}
	if !n.member {
		return nil
	}
	n.member = false
	calls := n.env.Calls()
	defer calls.Close()
	for _, p := range n.table.siblings {
		calls.Start(p, &leave{})
	}
	for calls.Pending() > 0 {
		if _, err := calls.Next(ctx); err != nil {
			return fmt.Errorf("kademlia: leave: %w", err)
		}
	}
	n.env.Log().Info("left")
	return nil
}
