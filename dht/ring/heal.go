package ring

import (
	"context"
	"slices"

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

// regain finds a way back for a node whose whole list has died at once. Nobody else
// knows who comes next, since the lists of those before it end in the same gap. So it
// looks beyond the gap, farther with each try, through somebody whom the overlay knows,
// and goes back from there along the predecessors. The gap is closed when the successor
// takes this node for its predecessor (adopt): the list begins too far away until then.
func (r *Ring) regain(ctx context.Context) bool {
	self, space := r.env.Self(), r.cfg.Space
	after := func(id dht.ID) dht.ID { return space.Sub(id, self.ID) }
	for _, via := range Closest(regainTries, after, without(r.host.Table(), self)) {
		if farther := space.Add(r.gap, r.gap); r.gap.Less(farther) {
			r.gap = farther
		}
		p := r.locate(ctx, via, space.Add(self.ID, r.gap))
		if ctx.Err() != nil || !r.member || len(r.succ) > 0 {
			return false
		}
		if !p.Same(self) && r.stabilize2(ctx, p) {
			r.goBack(ctx)
			return true
		}
	}
	return false
}

// locate asks via for the owner of id, and does not wait long: nobody if it fails.
func (r *Ring) locate(ctx context.Context, via dht.Peer, id dht.ID) dht.Peer {
	limited, cancel := r.env.WithTimeout(ctx, deadAfter)
	defer cancel()
	owners, err := r.host.Locate(limited, via, id, 1)
	if err != nil {
		return dht.Peer{}
	}
	return owners[0]
}

// knowsOthers says whether this node, which has no successor, knows of anybody else
// who may be alive.
func (r *Ring) knowsOthers() bool {
	for _, list := range [][]dht.Peer{r.host.Table(), {r.pred}} {
		for _, p := range list {
			if !p.IsZero() && !p.Same(r.env.Self()) && !slices.ContainsFunc(r.lost, p.Same) {
				return true
			}
		}
	}
	return false
}

// goBack takes the predecessor of the successor for a better successor, again and
// again, as stabilize does once in a round.
func (r *Ring) goBack(ctx context.Context) {
	for range maxBack {
		s := r.Successor()
		st, outcome := r.adopt(ctx, s)
		if outcome != alive || !dht.Between(r.env.Self().ID, st.Pred.ID, s.ID) || !r.stabilize2(ctx, st.Pred) {
			return
		}
	}
}

const (
	regainTries = 8  // peers asked for the way beyond a gap, in a round
	maxBack     = 64 // steps back from there
)
