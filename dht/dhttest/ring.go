package dhttest

import (
	"fmt"
	"slices"

	"dyschord/dht"
)

// Ringed is an overlay that keeps a ring: its invariants are checked too.
type Ringed interface {
	Predecessor() dht.Peer
	Successors() []dht.Peer
}

// wrongRing says where the ring of live members, sorted by identifier, is not ideal:
// every predecessor and every list entry must be right, incarnation included. How
// long lists are is taken from the longest.
func wrongRing(live []*Member) error {
	n := len(live)
	length := 0
	for _, m := range live {
		length = max(length, len(m.Overlay.(Ringed).Successors()))
	}
	for i, m := range live {
		r := m.Overlay.(Ringed)
		if want := live[(i+n-1)%n].Peer(); n > 1 && r.Predecessor() != want {
			return fmt.Errorf("%s has the predecessor %s, not %s", m, name(r.Predecessor()), name(want))
		}
		var want []dht.Peer
		for k := 1; k < n && len(want) < max(length, 1); k++ {
			want = append(want, live[(i+k)%n].Peer())
		}
		if !equal(r.Successors(), want) {
			return fmt.Errorf("%s has the successors %v, not %v", m, names(r.Successors()), names(want))
		}
	}
	return nil
}

func name(p dht.Peer) string { return fmt.Sprintf("%s#%d", p, p.Inc) }

func names(list []dht.Peer) []string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = name(p)
	}
	return out
}

// invariants remembers what it has seen of each member's run.
type invariants struct{ seen map[dht.Peer]*sight }

// sight is a member's list as it was at the last check: the slice itself, and what
// stood in it.
type sight struct {
	list, copied []dht.Peer
	hadPred      bool
}

func newInvariants() *invariants { return &invariants{map[dht.Peer]*sight{}} }

// wellFormed holds at all times, whatever fails: lists are clockwise, without
// repetition and without the node itself, they are replaced and never edited, and
// a predecessor is never cleared.
func (v *invariants) wellFormed(c *Cluster) error {
	for _, m := range c.Members {
		if !m.Alive() {
			continue
		}
		r, ok := m.Overlay.(Ringed)
		if !ok {
			return nil
		}
		if err := v.look(c, m, r); err != nil {
			return fmt.Errorf("%s: %w", m, err)
		}
	}
	return nil
}

func (v *invariants) look(c *Cluster, m *Member, r Ringed) error {
	s := v.seen[m.Peer()]
	if s == nil {
		s = &sight{}
		v.seen[m.Peer()] = s
	}
	if !equal(s.list, s.copied) {
		return fmt.Errorf("the successor list %v was edited in place to %v", names(s.copied), names(s.list))
	}
	s.list = r.Successors()
	s.copied = slices.Clone(s.list)
	if s.hadPred && r.Predecessor().IsZero() {
		return fmt.Errorf("the predecessor was cleared")
	}
	s.hadPred = !r.Predecessor().IsZero()
	return ordered(c.space, m.Peer(), s.list)
}

func ordered(space dht.Space, self dht.Peer, list []dht.Peer) error {
	var last dht.ID
	for _, p := range list {
		at := space.Sub(p.ID, self.ID)
		if p.IsZero() || !last.Less(at) {
			return fmt.Errorf("the successor list %v is out of order", names(list))
		}
		last = at
	}
	return nil
}

// zave is the inductive invariant of Zave's proof for lists of r successors, checked
// with what always holds: every member has a live successor, and at least r+1
// members are principals, which no member's list skips. It holds where the proof's
// assumptions do: at least r+1 members stay from the start, no identifier is used
// twice, and no node loses all its successors between two stabilizations.
func (v *invariants) zave(r int) func(*Cluster) error {
	return func(c *Cluster) error {
		if err := v.wellFormed(c); err != nil {
			return err
		}
		live := c.Live()
		skipped := map[dht.Peer]bool{}
		for _, m := range live {
			if !hasLiveSuccessor(c, m) {
				return fmt.Errorf("%s has no live successor in %v", m, names(m.Overlay.(Ringed).Successors()))
			}
			markSkipped(skipped, live, m)
		}
		if principals := len(live) - len(skipped); principals < r+1 {
			return fmt.Errorf("%d principals among %d members, fewer than %d", principals, len(live), r+1)
		}
		return nil
	}
}

func hasLiveSuccessor(c *Cluster, m *Member) bool {
	return slices.ContainsFunc(m.Overlay.(Ringed).Successors(), func(p dht.Peer) bool {
		nd := c.Net.Lookup(p.Ref)
		return nd != nil && nd.Alive() && nd.Peer() == p
	})
}

// markSkipped enters the members that lie between two neighbours in m's list.
func markSkipped(skipped map[dht.Peer]bool, live []*Member, m *Member) {
	last := m.Peer()
	for _, p := range m.Overlay.(Ringed).Successors() {
		for _, z := range live {
			if dht.Between(last.ID, z.Peer().ID, p.ID) {
				skipped[z.Peer()] = true
			}
		}
		last = p
	}
}
