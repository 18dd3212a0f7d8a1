package kademlia

import (
	"context"

	"dyschord/dht"
)

// heal looks whether there is an overlay besides this one: a partition leaves two,
// which name nobody of each other any more. It pings one lost peer or seed that is not
// in the table, picked at random, and looks this node's own identifier up through it:
// whoever answers enters the table.
func (n *Node) heal() {
	var missing []dht.Peer
	add := func(p dht.Peer) {
		if _, held := n.table.find(p); !held && !p.Same(n.env.Self()) {
			missing = append(missing, p)
		}
	}
	for _, d := range n.lost {
		add(d.peer)
	}
	for _, p := range n.seeds {
		add(p)
	}
	if len(missing) == 0 || n.healing || !n.member {
		return
	}
	via := missing[n.env.Rand().IntN(len(missing))]
	n.healing = true
	n.env.Go("kademlia.heal", func(ctx context.Context) {
		defer func() { n.healing = false }()
		n.healVia(ctx, via)
	})
}

func (n *Node) healVia(ctx context.Context, via dht.Peer) {
	if n.probe(ctx, via, 1) != alive {
		return
	}
	if _, err := n.lookups.Via(ctx, via, n.env.Self().ID, min(4, n.cfg.Siblings)); err != nil {
		n.env.Log().Debug("heal failed", "peer", via, "err", err)
	}
	n.sinceHeal = n.cfg.HealEvery // others may be back as well: go on soon
}
