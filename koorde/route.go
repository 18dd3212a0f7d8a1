package koorde

import (
	"slices"
	"time"

	"dyschord/dht"
	"dyschord/dht/lookup"
	"dyschord/dht/ring"
)

// The rules by which a node is named, for [Node.Explain].
const (
	ruleShift      = 1 // de Bruijn step; Reason.N is the digit, At the imaginary node
	ruleCorrection = 2 // along the ring; Reason.At is the imaginary node
	ruleAnew       = 3 // the walk begins anew; Reason.At is the imaginary node
)

// step is a move of a walk.
type step = lookup.Step[walk]

// router is the node as its lookups see it.
type router Node

// Begin is where a walk from this node begins: between it and its successor, or
// farther on as long as the pointers reach to where the first shift leads.
func (r *router) Begin(key dht.ID) walk {
	self, end := r.env.Self().ID, r.ring.Successor().ID
	if far := (*Node)(r).window().covered(self, r.pointers); dht.Between(end, far, self) {
		end = far
	}
	return r.cfg.begin(key, self, end)
}

// Next names the owners when key falls into the reach of the successor list, else
// where the walk goes on: the paper's LOOKUP.
func (r *router) Next(key dht.ID, w walk, n int) ([]step, []dht.Peer) {
	if owners := r.ring.Owners(key, n); len(owners) > 0 {
		at := walk{Imaginary: key, Budget: w.Budget}
		return (*Node)(r).correct(at, firstChoice, min(n, fallbacks)), owners
	}
	if !r.cfg.valid(key, w) {
		return nil, nil
	}
	return (*Node)(r).onward(key, w, n), nil
}

// fallbacks is how many ways out of an impasse are offered: in case that all owners
// named are dead, and where to begin anew.
const fallbacks = 2

// Owners answers somebody who takes this node for the owner.
func (r *router) Owners(key dht.ID, n int) []dht.Peer { return r.ring.OwnersOf(key, n) }

// Nearer: progress is a move of the walk. Of two nodes that it may move to, the one
// closer before the imaginary node is nearer.
func (r *router) Nearer(key dht.ID, a, b step) bool {
	x, y := a.State, b.State
	switch {
	case !r.cfg.valid(key, x):
		return false
	case x.Budget != y.Budget:
		return x.Budget < y.Budget
	}
	s := r.cfg.space
	return s.Sub(x.Imaginary, a.Peer.ID).Less(s.Sub(y.Imaginary, b.Peer.ID))
}

// Before: owners follow each other clockwise from the key.
func (r *router) Before(key dht.ID, a, b dht.Peer) bool {
	s := r.cfg.space
	return s.Sub(a.ID, key).Less(s.Sub(b.ID, key))
}

// Answered is no news: pointers are chosen by their place alone.
func (r *router) Answered(dht.Peer, time.Duration) {}

// Suspect has p probed, if this node holds it.
func (r *router) Suspect(p dht.Peer) { r.ring.Suspect(p, r.pointers...) }

// onward names where the walk goes from here, best first: by the de Bruijn pointers, if
// this node stands for the imaginary node or knows who stands for the next one; else
// along the ring. What is left if all of those are dead comes behind them.
func (n *Node) onward(key dht.ID, w walk, count int) []step {
	if w.Left == 0 {
		return n.correct(w, firstChoice, count)
	}
	next, digit := n.cfg.shift(key, w)
	here := n.here(w.Imaginary)
	if !here && !n.pointers.reach(next.Imaginary) {
		out := n.correct(w, firstChoice, count)
		if n.near(w.Imaginary) {
			out = append(out, n.shifted(next, digit, secondChoice, count-len(out))...)
		}
		return out
	}
	out := n.shifted(next, digit, firstChoice, count)
	switch {
	case len(out) > 0 && out[0].Peer.Same(n.env.Self()):
		return n.onward(key, next, count) // a move to itself is made on the spot
	case here:
		return append(out, n.anew(key, w, count-len(out))...)
	}
	return append(out, n.correct(w, secondChoice, count-len(out))...)
}

// here says whether this node stands for the imaginary node i: whether i lies between
// it and its successor.
func (n *Node) here(i dht.ID) bool {
	return dht.BetweenIncl(n.env.Self().ID, i, n.ring.Successor().ID)
}

// near says whether i lies within the reach of the successor list: then, if those before
// it are dead, this node may shift in their place, though it will land far before the
// next imaginary node.
func (n *Node) near(i dht.ID) bool {
	succ := n.ring.Successors()
	return len(succ) > 0 && dht.BetweenIncl(n.env.Self().ID, i, succ[len(succ)-1].ID)
}

// shifted moves to the pointers before the next imaginary node.
func (n *Node) shifted(next walk, digit int32, cost uint8, count int) []step {
	hops := n.window().preceding(n.pointers, next.Imaginary, count)
	return steps(hops, next, cost, dht.Reason{Rule: ruleShift, N: digit, At: next.Imaginary})
}

// correct moves along the ring: to the nodes closest before the imaginary node, from
// the successor list and the pointers together.
func (n *Node) correct(w walk, cost uint8, count int) []step {
	s := n.cfg.space
	end := s.Sub(w.Imaginary, dht.NewID(0, 1)) // one that stands at the point itself is past it
	distance := func(id dht.ID) dht.ID { return s.Sub(end, id) }
	hops := ring.Closest(count, distance, n.ring.Successors(), n.pointers)
	limit := distance(n.env.Self().ID)
	past := slices.IndexFunc(hops, func(p dht.Peer) bool { return !distance(p.ID).Less(limit) })
	if past >= 0 {
		hops = hops[:past]
	}
	return steps(hops, w, cost, dht.Reason{Rule: ruleCorrection, At: w.Imaginary})
}

// anew is the way on from a node that knows no other, since it has no pointers yet, or
// those that were legal have died: one of the next nodes begins the walk anew. Which
// one is left to chance, or the walk might come back here by the same way.
func (n *Node) anew(key dht.ID, w walk, count int) []step {
	succ := n.ring.Successors()
	if len(succ) == 0 {
		return nil
	}
	if len(succ) == 1 { // what lies behind it is not known but for the first point
		succ = append(slices.Clone(succ), dht.Peer{ID: n.cfg.space.Add(succ[0].ID, dht.NewID(0, 1))})
	}
	var out []step
	first := n.env.Rand().IntN(len(succ) - 1)
	for i := range min(count, fallbacks, len(succ)-1) {
		at := (first + i) % (len(succ) - 1)
		fresh := n.cfg.begin(key, succ[at].ID, succ[at+1].ID)
		fresh.Budget = w.Budget
		out = append(out, steps(succ[at:at+1], fresh, secondChoice, dht.Reason{Rule: ruleAnew, At: fresh.Imaginary})...)
	}
	return out
}

// steps moves a walk to each of hops, at that cost; nowhere if it has cost too much.
func steps(hops []dht.Peer, w walk, cost uint8, why dht.Reason) []step {
	w, ok := w.spend(cost)
	if !ok {
		return nil
	}
	out := make([]step, len(hops))
	for i, p := range hops {
		out[i] = step{Peer: p, State: w, Why: why}
	}
	return out
}
