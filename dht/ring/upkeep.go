package ring

import (
	"context"

	"dyschord/dht"
)

// Start begins the upkeep under the given name, unless it runs: Round, and then more,
// in every interval of Config.Stabilize. It is one periodic activity, so that a node
// at rest is small. Leave ends it.
func (r *Ring) Start(name string, more func()) {
	if r.stop != nil {
		return
	}
	d := r.cfg.Stabilize
	r.stop = r.env.Every(name, d, d/10, func(ctx context.Context) {
		r.Round(ctx)
		more()
	})
}

// Stretch asks p, wherever on the ring it stands, for the part of the ring that it
// knows: its predecessor, if it has one, itself, and its successors, clockwise. at is
// the place of p. A p found dead leaves the list and is lost to the overlay
// ([Host].Lost); then, and when nothing can be said, the stretch is empty.
func (r *Ring) Stretch(ctx context.Context, p dht.Peer) (stretch []dht.Peer, at int) {
	self := r.env.Self()
	st := place{self, &state{Pred: r.pred, Succ: r.succ}}
	if !p.Same(self) {
		var outcome outcome
		st, outcome = r.read(ctx, p)
		if outcome == gone && r.member {
			r.bury(ctx, p)
		}
		if outcome != alive {
			return nil, 0
		}
	}
	space := r.cfg.Space
	first := st.at
	if !st.Pred.IsZero() && !st.Pred.Same(st.at) {
		first = st.Pred
		stretch, at = append(stretch, first), 1
	}
	last := space.Sub(st.at.ID, first.ID)
	stretch = append(stretch, st.at)
	for _, s := range st.Succ {
		distance := space.Sub(s.ID, first.ID)
		if !last.Less(distance) {
			break // all the way round
		}
		stretch, last = append(stretch, s), distance
	}
	return stretch, at
}

// bury takes p for dead, and looks for a new successor at once if it was the first.
func (r *Ring) bury(ctx context.Context, p dht.Peer) {
	next := r.Successor()
	if r.lose(p); r.Successor() != next {
		r.Stabilize(ctx)
	}
}
