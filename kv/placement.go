package kv

import (
	"context"
	"slices"
	"time"

	"dyschord/dht"
)

// cause is why a configuration should end.
type cause uint8

const (
	causeNone cause = iota
	causeRestart
	causeCorrupt
	causeDead
	causeLeave
	causeGrow
	causeMove
	causePrimary
	causeFrozen
)

// String names the cause, for logs and metrics.
func (c cause) String() string {
	return [...]string{"none", "restart", "corrupt", "dead", "leave", "grow", "move", "primary", "frozen"}[c]
}

// wanted are the live nodes that the overlay names for the slot, best first; nil if
// it is not known.
func (n *Node) wanted(s *slot, now time.Time) []dht.Peer {
	ask := min(n.cfg.Replicas+4, dht.MaxOwners)
	named, sure := n.overlay.Near(n.cfg.first(s.id), ask)
	if !sure {
		if s.lead != nil {
			n.lookUp(s, now)
		}
		switch {
		case n.countLive(&s.Cfg) < len(s.Cfg.Members):
			// The overlay is not sure because of the same death, perhaps. A good
			// replacement now is worth more than the best one later.
		case now.Sub(s.upkeep.namedAt) > 30*time.Second:
			return nil
		default:
			named = s.upkeep.named
		}
	}
	var want []dht.Peer
	for _, p := range named {
		if len(want) < n.cfg.Replicas && n.eligible(p) && !contains(want, p) {
			want = append(want, plain(p))
		}
	}
	return want
}

// lookUp asks the network who should hold the slot, now and then.
func (n *Node) lookUp(s *slot, now time.Time) {
	u := &s.upkeep
	if u.looking || now.Sub(u.namedAt) < n.jitter(5*time.Second, 10*time.Second) || n.mends >= maxMends {
		return
	}
	u.looking = true
	n.mends++
	n.env.Go("kv.look_up", func(ctx context.Context) {
		route, err := n.overlay.Lookup(ctx, n.cfg.first(s.id), min(n.cfg.Replicas+2, dht.MaxOwners))
		n.mends--
		u.looking = false
		if err == nil {
			u.named, u.namedAt = route.Owners, n.now()
		}
	})
}

// causeFor says what speaks for ending the slot's epoch, to this node.
func (n *Node) causeFor(s *slot) cause {
	c := &s.Cfg
	next := n.target(s)
	switch {
	case s.corrupt && len(next) > 0:
		return causeCorrupt
	case c.primary().Same(n.self()) && s.lead == nil:
		return causeRestart
	}
	for _, m := range c.Members {
		if n.isLeaving(m) && len(next) > 0 {
			return causeLeave
		}
	}
	same := len(next) == len(c.Members) && n.countIn(c, next) == len(next)
	for _, m := range c.Members {
		if n.dead(m) && (!same || c.primary().Same(m)) {
			return causeDead
		}
	}
	switch {
	case same && len(next) > 0 && len(s.upkeep.want) > 0 && !next[0].Same(c.primary()):
		return causePrimary
	case same:
		return causeNone
	case len(next) > len(c.Members):
		return causeGrow
	}
	return causeMove
}

// target is who should hold the slot next: the nodes that the overlay names, then
// live members, then dead ones, which are replaced but never just dropped. A node
// whose copy is corrupt goes, to come back with a new one.
func (n *Node) target(s *slot) []dht.Peer {
	c := &s.Cfg
	goes := func(p dht.Peer) bool { return n.isLeaving(p) || s.corrupt && p.Same(n.self()) }
	next := slices.Clone(s.upkeep.want)
	next = slices.DeleteFunc(next, func(p dht.Peer) bool { return !n.eligible(p) && !c.has(p) || n.dead(p) || goes(p) })
	staying := 0
	for _, m := range c.Members {
		if goes(m) {
			continue
		}
		staying++
		if len(next) < n.cfg.Replicas && !n.dead(m) && !contains(next, m) {
			next = append(next, m)
		}
	}
	for _, m := range c.Members {
		if len(next) < min(staying, n.cfg.Replicas) && !goes(m) && !contains(next, m) {
			next = append(next, m)
		}
	}
	return next
}

// due says whether a cause has stood for long enough, for this node's place in the
// order of proposers: the primary first, then the members in their order, the live
// ones only.
func (n *Node) due(s *slot, now time.Time) bool {
	u, c, beat := &s.upkeep, &s.Cfg, n.cfg.Heartbeat
	if u.cause == causeRestart || u.cause == causeCorrupt {
		return true
	}
	place := 0
	if !c.primary().Same(n.self()) {
		if !n.dead(c.primary()) {
			place++
		}
		for _, m := range c.Members {
			if m.Same(n.self()) {
				break
			}
			if !m.Same(c.primary()) && !n.dead(m) {
				place++
			}
		}
	}
	patience := time.Duration(place) * 3 * beat
	switch u.cause {
	case causeNone:
		return false
	case causeDead:
		return now.Sub(u.causeAt) >= patience
	case causeLeave:
		if n.leaving {
			patience = time.Duration(place) * beat / 2
		}
		return now.Sub(u.causeAt) >= patience
	case causeGrow:
		if len(u.want) < n.cfg.Replicas {
			patience += 3 * beat // a node more may be about to come
		}
		patience += 2 * beat
	case causePrimary:
		patience += 10 * beat
	default:
		patience += 3 * beat
	}
	return now.Sub(u.causeAt) >= patience && now.Sub(u.wantAt) >= patience
}

func samePeers(a, b []dht.Peer) bool {
	return slices.EqualFunc(a, b, func(p, q dht.Peer) bool { return p.Same(q) })
}
