package ring

import (
	"slices"

	"dyschord/dht"
)

// Ring is one node's place in the ring. Its methods follow the rule of [dht.Env].
type Ring struct {
	// What every round reads comes first: a large simulation waits for memory most of
	// the time.
	env         dht.Env
	cfg         *Config
	version     uint32 // counts the replacements of succ
	sinceHeal   uint16 // upkeep rounds since the last probe
	member      bool
	stabilizing bool
	rectifying  bool
	healing     bool
	answered    bool // the successor has, since the last round began

	succ     []dht.Peer // clockwise, without this node; replaced, never edited
	pred     dht.Peer
	fallback []dht.Peer // the list before succ, until the new succ[0] has answered
	lost     []dht.Peer // taken for dead: where a partition may heal
	host     Host
	seeds    []dht.Peer
	probing  []dht.Peer // being pinged after a suspicion
	cleared  []dht.Peer // have been since the last round began, and are not dead
	stop     func()     // ends the upkeep; nil while there is none
	gap      dht.ID     // how far the list reached when its last peer died, until the way back is found; else 0
}

const (
	maxLost    = 32
	maxSeeds   = 32
	maxProbing = 8 // in an interval
)

// New makes a ring of nobody. cfg comes from [Config.Resolve].
func New(env dht.Env, host Host, cfg *Config) *Ring {
	return &Ring{env: env, host: host, cfg: cfg}
}

// Self is this node.
func (r *Ring) Self() dht.Peer { return r.env.Self() }

// Member says whether this node is in a ring.
func (r *Ring) Member() bool { return r.member }

// Predecessor is the closest node before this one that has made itself known,
// perhaps dead by now; nobody before the first did.
func (r *Ring) Predecessor() dht.Peer { return r.pred }

// Successor is the next node clockwise: this node itself when it is alone.
func (r *Ring) Successor() dht.Peer {
	if len(r.succ) == 0 {
		return r.env.Self()
	}
	return r.succ[0]
}

// Successors is the successor list. It ends before this node, so in a ring of n
// nodes it has at most n-1 entries. The caller must not change it.
func (r *Ring) Successors() []dht.Peer { return r.succ }

// Owns says whether id lies between the predecessor and this node, or nobody else
// is known.
func (r *Ring) Owns(id dht.ID) bool {
	self := r.env.Self().ID
	if id == self || r.alone() {
		return true
	}
	return !r.pred.IsZero() && dht.BetweenIncl(r.pred.ID, id, self)
}

// Owners lists the owner of id and its successors, as far as the successor list
// and the predecessor tell; at most n, and nobody when they do not tell.
func (r *Ring) Owners(id dht.ID, n int) []dht.Peer {
	if r.Owns(id) {
		return r.selfAnd(n)
	}
	i := slices.IndexFunc(r.succ, func(p dht.Peer) bool { return dht.BetweenIncl(r.env.Self().ID, id, p.ID) })
	if i < 0 {
		return nil
	}
	owners := r.succ[i:]
	if len(owners) < n && r.closed() {
		owners = append(append(slices.Clone(owners), r.env.Self()), r.succ[:i]...)
	}
	return owners[:min(n, len(owners))]
}

// OwnersOf answers somebody who takes this node for the owner of id: if there is a
// predecessor that might be it instead, the predecessor comes first.
func (r *Ring) OwnersOf(id dht.ID, n int) []dht.Peer {
	own := r.selfAnd(n)
	if r.Owns(id) || r.pred.IsZero() {
		return own
	}
	list := append([]dht.Peer{r.pred}, slices.DeleteFunc(slices.Clone(own), r.pred.Same)...)
	return list[:min(n, len(list))]
}

// Sure says whether the lists of this node cover the whole stretch of the ring that the
// n owners of id lie on. They are second-hand beyond the first successor, so the
// answer is one to place copies by, and nothing that safety may rest on (see the
// package's description).
func (r *Ring) Sure(id dht.ID, n int) bool {
	if r.gap != (dht.ID{}) {
		return false // who comes next is not known, whatever the list says
	}
	known := len(r.Owners(id, n))
	return known == n || r.closed() && known == 1+len(r.succ)
}

// alone says whether this node is the whole ring, not one that has lost its list.
func (r *Ring) alone() bool { return len(r.succ) == 0 && r.gap == (dht.ID{}) }

// closed says whether the successor list goes all the way round the ring.
func (r *Ring) closed() bool {
	return r.alone() || len(r.succ) > 0 && r.succ[len(r.succ)-1].Same(r.pred)
}

func (r *Ring) selfAnd(n int) []dht.Peer {
	k := min(n-1, len(r.succ))
	return append(append(make([]dht.Peer, 0, k+1), r.env.Self()), r.succ[:k]...)
}

// Prefill takes the place that full knowledge gives; sorted holds every member.
func (r *Ring) Prefill(sorted []dht.Peer) {
	n := len(sorted)
	i, _ := slices.BinarySearchFunc(sorted, r.env.Self(), func(a, b dht.Peer) int { return a.ID.Cmp(b.ID) })
	k := min(r.cfg.Successors, n-1)
	succ := make([]dht.Peer, k)
	for j := range succ {
		succ[j] = sorted[(i+1+j)%n]
	}
	r.setSuccessors(succ)
	if n > 1 {
		r.pred = sorted[(i+n-1)%n]
	}
	r.member = true
}

// Peers visits every peer the ring holds, some perhaps twice.
func (r *Ring) Peers(yield func(dht.Peer) bool) bool {
	if !r.pred.IsZero() && !yield(r.pred) {
		return false
	}
	for _, list := range [][]dht.Peer{r.succ, r.fallback, r.lost, r.seeds, r.probing} {
		for _, p := range list {
			if !yield(p) {
				return false
			}
		}
	}
	return true
}

// setSuccessors replaces the list. Whoever waits for a reply finds out by version.
func (r *Ring) setSuccessors(list []dht.Peer) {
	r.succ = list
	r.answered = false
	r.version++
}

// behind is the successor list of a node whose successor is head, which has list:
// [head] + list, cut where it reaches this node or runs out of order.
func (r *Ring) behind(head dht.Peer, list []dht.Peer) []dht.Peer {
	self, space := r.env.Self(), r.cfg.Space
	out := make([]dht.Peer, 1, min(r.cfg.Successors, 1+len(list)))
	out[0] = head
	last := space.Sub(head.ID, self.ID)
	for _, p := range list {
		distance := space.Sub(p.ID, self.ID)
		if len(out) == r.cfg.Successors || !last.Less(distance) {
			break
		}
		out = append(out, p)
		last = distance
	}
	return out
}

// without is list less p: list itself if p is not in it, else a new one.
func without(list []dht.Peer, p dht.Peer) []dht.Peer {
	return less(list, p.Same)
}

// less is list less those that drop picks: list itself if it picks none, else a new one.
func less(list []dht.Peer, drop func(dht.Peer) bool) []dht.Peer {
	if !slices.ContainsFunc(list, drop) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), drop)
}
