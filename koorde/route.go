package koorde

import (
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

// Begin is where a walk from this node begins: between it and its successor.
func (r *router) Begin(key dht.ID) walk {
	return r.cfg.begin(key, r.env.Self().ID, r.ring.Successor().ID)
}

// Next names the owners when key falls into the reach of the successor list, else
// where the walk goes on: LOOKUP of the paper (§3.2).
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

// fallbacks is how many steps go with named owners, for the case that all are dead.
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
	var out []step
	for w.Left > 0 {
		next, digit := n.cfg.shift(key, w)
		here := n.here(w.Imaginary)
		if !here && !n.pointers.reach(next.Imaginary) {
			out = n.correct(w, firstChoice, count)
			if dht.Between(n.env.Self().ID, w.Imaginary, n.last().ID) {
				out = append(out, n.shifted(next, digit, secondChoice, count-len(out))...)
			}
			return out
		}
		out = n.shifted(next, digit, firstChoice, count)
		if len(out) > 0 && out[0].Peer.Same(n.env.Self()) {
			w = next // as at the fixed points of the shift: taken on the spot
			continue
		}
		if here {
			return append(out, n.anew(key, w, count-len(out))...)
		}
		return append(out, n.correct(w, secondChoice, count-len(out))...)
	}
	return n.correct(w, firstChoice, count)
}

// shifted moves to the pointers before the next imaginary node.
func (n *Node) shifted(next walk, digit int32, cost uint8, count int) []step {
	hops := n.window().preceding(n.pointers, next.Imaginary, count)
	return steps(hops, next, cost, dht.Reason{Rule: ruleShift, N: digit, At: next.Imaginary})
}

// last is the last successor known, this node itself when it is alone.
func (n *Node) last() dht.Peer {
	if succ := n.ring.Successors(); len(succ) > 0 {
		return succ[len(succ)-1]
	}
	return n.env.Self()
}

// here says whether this node stands for the imaginary node i: whether i lies between
// it and its successor.
func (n *Node) here(i dht.ID) bool {
	return dht.BetweenIncl(n.env.Self().ID, i, n.ring.Successor().ID)
}

// correct moves along the ring: to the nodes closest before the imaginary node, from
// the successor list and the pointers together.
func (n *Node) correct(w walk, cost uint8, count int) []step {
	s, goal := n.cfg.space, w.Imaginary
	distance := func(id dht.ID) dht.ID { return s.Sub(goal, id) }
	hops := ring.Closest(count, distance, n.between(goal, n.ring.Successors()), n.between(goal, n.pointers))
	return steps(hops, w, cost, dht.Reason{Rule: ruleCorrection, At: goal})
}

// between picks the peers strictly between this node and goal.
func (n *Node) between(goal dht.ID, list []dht.Peer) []dht.Peer {
	var out []dht.Peer
	for _, p := range list {
		if dht.Between(n.env.Self().ID, p.ID, goal) {
			out = append(out, p)
		}
	}
	return out
}

// anew is the way on from a node that knows no other, since it has no pointers yet, or
// those that were legal have died: a successor begins the walk anew.
func (n *Node) anew(key dht.ID, w walk, count int) []step {
	succ := n.ring.Successors()
	var out []step
	for i := 0; i+1 < len(succ) && len(out) < count; i++ {
		fresh := n.cfg.begin(key, succ[i].ID, succ[i+1].ID)
		fresh.Budget = w.Budget
		out = append(out, steps(succ[i:i+1], fresh, secondChoice, dht.Reason{Rule: ruleAnew, At: fresh.Imaginary})...)
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
