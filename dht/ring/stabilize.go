package ring

import (
	"context"
	"slices"

	"dyschord/dht"
)

// Round is one round of upkeep, to be run every Config.Stabilize: stabilize, and
// now and then a look for the other part of a healed partition.
func (r *Ring) Round(ctx context.Context) {
	r.answered, r.cleared = false, nil
	r.Stabilize(ctx)
	r.sinceHeal++
	if alone := len(r.succ) == 0; alone || int(r.sinceHeal) >= r.cfg.HealEvery {
		r.sinceHeal = 0
		r.heal()
	}
}

// Stabilize lets this node find its successor anew. One runs at a time.
func (r *Ring) Stabilize(ctx context.Context) {
	if r.stabilizing || !r.member {
		return
	}
	r.stabilizing = true
	defer func() { r.stabilizing = false }()
	var dead dht.Peer
	for r.member && ctx.Err() == nil {
		s := r.Successor()
		if r.stabilize1(ctx, s, dead) {
			return
		}
		dead = s
	}
}

// stabilize1 reads the successor s. If it lives, its list is taken over, and its
// predecessor becomes the successor when it is closer and lives; dead has been found
// not to, a moment ago. It returns false if s is dead and has been dropped, so that
// the next is to be read.
func (r *Ring) stabilize1(ctx context.Context, s, dead dht.Peer) (done bool) {
	if s == r.env.Self() { // alone: whoever has notified this node is its successor
		if !r.alone() && r.regain(ctx) || r.stabilize2(ctx, r.pred) {
			return true
		}
		if ctx.Err() == nil && len(r.succ) == 0 {
			r.gap = dht.ID{} // nobody else is left
		}
		return true
	}
	st, outcome := r.adopt(ctx, s)
	switch outcome {
	case gone:
		r.lose(s)
		return false
	case unclear:
		return true
	}
	if p := st.Pred; p != dead && dht.Between(r.env.Self().ID, p.ID, s.ID) && r.stabilize2(ctx, p) {
		return true
	}
	r.notify(ctx, st)
	return true
}

// stabilize2 reads p, a better successor by somebody else's word, and takes it and
// its list if it lives. It returns false if not.
func (r *Ring) stabilize2(ctx context.Context, p dht.Peer) bool {
	if p.IsZero() || p.Same(r.env.Self()) {
		return false
	}
	st, outcome := r.adopt(ctx, p)
	if outcome != alive {
		return false
	}
	r.notify(ctx, st)
	return true
}

// adopt reads p and, if it lives, makes [p] + p.succ the successor list: a new
// list, for the old one may be in a message under way. A reply is applied only to
// the list it was asked for.
func (r *Ring) adopt(ctx context.Context, p dht.Peer) (place, outcome) {
	version := r.version
	st, outcome := r.read(ctx, p)
	if outcome != alive {
		return place{}, outcome
	}
	if r.version != version || !r.member {
		return place{}, unclear
	}
	if !p.Same(r.Successor()) && r.fallback == nil {
		// p has answered once; until it does so again the old list is a way back.
		r.fallback = r.succ
	} else if p == r.Successor() {
		r.fallback = nil
	}
	if !r.known(st.at, st.Succ) {
		r.replace(r.behind(st.at, st.Succ))
	}
	r.answered = true
	if st.Pred == r.env.Self() {
		r.gap = dht.ID{} // the two ends of the gap know each other
	}
	return st, alive
}

// known says whether [head] + list is plainly the successor list already: the usual
// case, which then costs nothing.
func (r *Ring) known(head dht.Peer, list []dht.Peer) bool {
	k := r.cfg.Successors
	return len(r.succ) == k && len(list) >= k-1 && r.succ[0] == head && equal(r.succ[1:], list[:k-1])
}

// replace sets the list unless it is equal to what it was, so that equal lists
// share memory for as long as possible.
func (r *Ring) replace(list []dht.Peer) {
	if !equal(list, r.succ) {
		r.setSuccessors(list)
	}
}

func equal(a, b []dht.Peer) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// notify makes this node known to its successor, whose state st is. One that has
// this run of this node as its predecessor need not hear it again.
func (r *Ring) notify(ctx context.Context, st place) {
	if st.Pred == r.env.Self() {
		return
	}
	if _, err := dht.Ask[*here](ctx, r.env, st.at, &notify{}); err != nil {
		r.env.Log().Debug("notify failed", "peer", st.at, "err", err)
	}
}

// lose takes p for dead: it leaves the list, and is remembered in case that only a
// partition hides it. What is held of a later run of p, which has been heard of while
// this one was being judged, stays. The overlay's table is cheap to mend: it loses both.
func (r *Ring) lose(p dht.Peer) {
	dead := func(q dht.Peer) bool { return q.Same(p) && q.Inc <= p.Inc }
	if back := less(r.fallback, dead); len(back) > 0 && r.Successor() == p {
		// The new successor died before it answered twice. Its list came from it
		// alone; the one before is made of nodes that this node had known.
		r.setSuccessors(back)
		r.fallback = nil
	} else if list := less(r.succ, dead); len(list) < len(r.succ) {
		r.setSuccessors(list)
		if len(list) == 0 {
			r.gap = r.cfg.Space.Sub(p.ID, r.env.Self().ID)
		}
	}
	if p.Same(r.env.Self()) {
		return
	}
	r.host.Lost(p)
	if r.holdsLater(p) {
		return
	}
	r.remember(p)
	r.env.Log().Warn("peer lost", "peer", p)
	if len(r.succ) == 0 && !r.knowsOthers() {
		r.gap = dht.ID{}
	}
}

// holdsLater says whether a neighbour is a later run of p.
func (r *Ring) holdsLater(p dht.Peer) bool {
	later := func(q dht.Peer) bool { return q.Same(p) && q.Inc > p.Inc }
	return later(r.pred) || slices.ContainsFunc(r.succ, later)
}

// remember keeps p in case that a partition hides it. When there are too many, one picked
// at random goes: it is not those behind a partition that are forgotten first while
// others die.
func (r *Ring) remember(p dht.Peer) {
	lost := slices.Clone(without(r.lost, p))
	if len(lost) == maxLost {
		i := r.env.Rand().IntN(maxLost)
		lost = slices.Delete(lost, i, i+1)
	}
	r.lost = append(lost, p)
}
