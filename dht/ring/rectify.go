package ring

import (
	"context"
	"slices"

	"dyschord/dht"
)

// rectify considers n, which has taken this node for its successor, as the
// predecessor. The predecessor is only ever replaced, never cleared.
func (r *Ring) rectify(n dht.Peer) {
	switch {
	case r.pred.IsZero(), dht.Between(r.pred.ID, n.ID, r.env.Self().ID):
		r.setPredecessor(n)
	case n.Same(r.pred):
		if n.Inc > r.pred.Inc {
			r.setPredecessor(n)
		}
	case !r.rectifying:
		r.rectifying = true
		r.env.Go("ring.rectify", func(ctx context.Context) {
			defer func() { r.rectifying = false }()
			r.rectifyIfDead(ctx, r.pred, n)
		})
	}
}

// rectifyIfDead takes n for the predecessor if p, which is closer, is dead. That n
// does not know p, or no more, is evidence already, and if p lives it makes itself
// known in its next round: so one try less than elsewhere.
func (r *Ring) rectifyIfDead(ctx context.Context, p, n dht.Peer) {
	if r.ping(ctx, p, max(1, r.cfg.Tries-1)) == gone && r.pred == p && r.member {
		r.lose(p)
		r.setPredecessor(n)
	}
}

func (r *Ring) setPredecessor(n dht.Peer) {
	r.pred = n
	if len(r.succ) == 0 {
		r.env.Go("ring.stabilize", r.Stabilize)
	}
}

// Suspect hears that p did not answer somebody. It is pinged before it is believed, and
// only if it is a neighbour or in the given table of the overlay: nobody can make this
// node probe strangers. Where packets are lost a probe now and then fails that should
// not, so they are few however many suspect: in an interval of Config.Stabilize at most
// 8, one of a peer that is not dead, and none of a successor that has answered this node.
func (r *Ring) Suspect(p dht.Peer, table ...dht.Peer) {
	for _, list := range [][]dht.Peer{r.succ, table, {r.pred}} {
		if i := slices.IndexFunc(list, p.Same); i >= 0 {
			r.probe(list[i])
			return
		}
	}
}

// probe pings p, which this node holds, and takes it for dead if it does not answer.
func (r *Ring) probe(p dht.Peer) {
	if !r.member || p.Same(r.env.Self()) || r.answered && p.Same(r.Successor()) ||
		len(r.probing)+len(r.cleared) >= maxProbing ||
		slices.ContainsFunc(r.probing, p.Same) || slices.ContainsFunc(r.cleared, p.Same) {
		return
	}
	r.probing = append(slices.Clone(r.probing), p)
	r.env.Go("ring.suspect", func(ctx context.Context) {
		verdict := r.ping(ctx, p, r.cfg.Tries)
		if r.probing = without(r.probing, p); len(r.probing) == 0 {
			r.probing = nil
		}
		if verdict != gone {
			r.cleared = append(r.cleared, p)
		} else if r.member {
			r.bury(ctx, p)
		}
	})
}
