package ring

import (
	"context"

	"dyschord/dht"
)

// heal looks whether there is a ring besides this one: a partition leaves two, and
// stabilize alone never joins them. It asks one lost peer or seed, picked at
// random, who owns this node's place, and takes the answer for what stabilize takes
// a successor's predecessor for: a better successor by somebody else's word.
func (r *Ring) heal() {
	n := len(r.lost) + len(r.seeds)
	if n == 0 || r.healing || !r.member {
		return
	}
	i := r.env.Rand().IntN(n)
	var via dht.Peer
	if i < len(r.lost) {
		via = r.lost[i]
	} else {
		via = r.seeds[i-len(r.lost)]
	}
	if via.Same(r.env.Self()) {
		return
	}
	r.healing = true
	r.env.Go("ring.heal", func(ctx context.Context) {
		defer func() { r.healing = false }()
		r.healVia(ctx, via)
	})
}

func (r *Ring) healVia(ctx context.Context, via dht.Peer) {
	self := r.env.Self()
	if _, err := dht.Ask[*here](ctx, r.env, via, &ping{}); err != nil {
		return
	}
	r.lost = without(r.lost, via)
	owners, err := r.host.Locate(ctx, via, self.ID, 4)
	if err != nil || !r.member {
		return
	}
	// The owner of this node's identifier is this node, if via is in its ring.
	for _, p := range owners {
		if p.Same(self) {
			continue
		}
		if s := r.Successor(); s == self || dht.Between(self.ID, p.ID, s.ID) {
			r.propose(ctx, p)
		}
		return
	}
}

// propose feeds p into stabilize as a better successor.
func (r *Ring) propose(ctx context.Context, p dht.Peer) {
	if r.stabilizing {
		return
	}
	r.stabilizing = true
	defer func() { r.stabilizing = false }()
	r.stabilize2(ctx, p)
}
