package lookup

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"dyschord/dht"
)

// xor is a router in the manner of Kademlia: no node knows the owners for sure; one
// that is itself among the closest it knows names all of these as owners, and the
// lookup ends when the n closest that live have answered.
type xor struct {
	self  dht.Peer
	known []dht.Peer // itself included
}

const width = 8 // of the neighbourhood in which an xor node names owners

func (*xor) Begin(dht.ID) none { return none{} }

type none struct{}

func (x *xor) Next(key dht.ID, _ none, n int) (steps []Step[none], owners []dht.Peer) {
	best := x.Owners(key, max(n, width))
	if slices.Contains(best[:min(width, len(best))], x.self) {
		owners = best[:min(n, len(best))]
	}
	for _, p := range best[:min(n, len(best))] {
		steps = append(steps, Step[none]{Peer: p})
	}
	return steps, owners
}

func (x *xor) Owners(key dht.ID, n int) []dht.Peer {
	best := slices.Clone(x.known)
	slices.SortFunc(best, func(a, b dht.Peer) int { return a.ID.Xor(key).Cmp(b.ID.Xor(key)) })
	return best[:min(n, len(best))]
}

func (*xor) Nearer(key dht.ID, a, b Step[none]) bool {
	return a.Peer.ID.Xor(key).Less(b.Peer.ID.Xor(key))
}
func (*xor) Before(key dht.ID, a, b dht.Peer) bool { return a.ID.Xor(key).Less(b.ID.Xor(key)) }
func (*xor) Suspect(dht.Peer)                      {}
func (*xor) Answered(dht.Peer, time.Duration)      {}

// The drivers suit an algorithm that settles on the n closest live nodes, asking
// several at once, though a fifth of what its tables name is dead.
func TestSettlesOnClosestLiveNodes(t *testing.T) {
	for _, alpha := range []int{1, 3} {
		for _, style := range []Style{Iterative, Recursive} {
			t.Run(fmt.Sprint(style, alpha), func(t *testing.T) { settlesOnClosest(t, Config{Alpha: alpha, Style: style}) })
		}
	}
}

func settlesOnClosest(t *testing.T, cfg Config) {
	n := newNet(t)
	rng := rand.New(rand.NewPCG(7, 7))
	var hosts []*host[none]
	var routers []*xor
	var all []dht.Peer
	for len(all) < 150 {
		id := rng.Uint64N(1 << 16)
		if n.ByID(dht.NewID(0, id)) != nil {
			continue
		}
		r := &xor{}
		h := addHost(t, n, id, r, cfg)
		r.self = h.Peer()
		hosts, routers, all = append(hosts, h), append(routers, r), append(all, h.Peer())
	}
	for _, r := range routers {
		r.known = buckets(r.self, all)
	}
	for i := 4; i < len(hosts); i += 5 {
		hosts[i].Crash()
	}
	var live []dht.Peer
	for _, h := range hosts {
		if h.Alive() {
			live = append(live, h.Peer())
		}
	}
	for i := range 40 {
		key := rng.Uint64N(1 << 16)
		origin := hosts[5*(i%30)]
		before := make([]int, len(hosts))
		for j, h := range hosts {
			before[j] = h.found
		}
		route, err := origin.lookup(t, key, 3)
		want := (&xor{known: live}).Owners(dht.NewID(0, key), 3)
		if err != nil || !slices.Equal(route.Owners, want) {
			t.Errorf("key %d: %v (%v), want %v", key, ids(route.Owners), err, ids(want))
		}
		for _, o := range route.Owners[min(1, len(route.Owners)):] {
			j := slices.Index(all, o)
			if o != origin.Peer() && hosts[j].found == before[j] {
				t.Errorf("key %d: the owner %d was never asked", key, o.ID.Lo())
			}
		}
	}
}

// buckets are up to 8 peers of each common prefix with self, and self.
func buckets(self dht.Peer, all []dht.Peer) []dht.Peer {
	count := map[int]int{}
	out := []dht.Peer{self}
	closest := (&xor{known: all}).Owners(self.ID, len(all))
	for _, p := range closest[1:] {
		if l := p.ID.Xor(self.ID).Len(); count[l] < 8 {
			count[l]++
			out = append(out, p)
		}
	}
	return out
}

// bruijn is a router in the manner of Koorde, degree 2: the state is the imaginary
// node, and what is left of the key to shift into it.
type bruijn struct {
	space dht.Space
	self  dht.Peer
	pred  dht.Peer
	succ  dht.Peer
	half  dht.Peer // the node before 2·self
}

type path struct {
	Imaginary dht.ID `cbor:"1,keyasint"`
	Rest      dht.ID `cbor:"2,keyasint"`
	Left      uint8  `cbor:"3,keyasint"` // digits
}

func (b *bruijn) Begin(key dht.ID) path {
	return path{b.space.Add(b.self.ID, dht.NewID(0, 1)), key, uint8(b.space.Width())}
}

func (b *bruijn) Next(key dht.ID, s path, n int) ([]Step[path], []dht.Peer) {
	switch {
	case key == b.self.ID:
		return nil, b.Owners(key, n)
	case dht.BetweenIncl(b.self.ID, key, b.succ.ID):
		return nil, []dht.Peer{b.succ}
	case s.Left > 0 && dht.BetweenIncl(b.self.ID, s.Imaginary, b.succ.ID):
		top := s.Rest.Shr(b.space.Width() - 1)
		next := path{b.space.Trim(s.Imaginary.Shl(1).Or(top)), b.space.Trim(s.Rest.Shl(1)), s.Left - 1}
		return []Step[path]{{Peer: b.half, State: next}}, nil
	}
	return []Step[path]{{Peer: b.succ, State: s}}, nil
}

// Owners: one that is asked for a key of its predecessor names that first.
func (b *bruijn) Owners(key dht.ID, n int) []dht.Peer {
	if dht.BetweenIncl(b.pred.ID, key, b.self.ID) {
		return []dht.Peer{b.self, b.succ}[:min(n, 2)]
	}
	return []dht.Peer{b.pred, b.self}[:min(n, 2)]
}

// Nearer: fewer digits left, or as many and closer before the imaginary node.
func (b *bruijn) Nearer(key dht.ID, x, y Step[path]) bool {
	if x.State.Left != y.State.Left {
		return x.State.Left < y.State.Left
	}
	goal := x.State.Imaginary
	if x.State.Left == 0 {
		goal = key
	}
	return b.space.Sub(goal, x.Peer.ID).Less(b.space.Sub(goal, y.Peer.ID))
}

func (b *bruijn) Before(key dht.ID, x, y dht.Peer) bool {
	return b.space.Sub(x.ID, key).Less(b.space.Sub(y.ID, key))
}
func (*bruijn) Suspect(dht.Peer)                 {}
func (*bruijn) Answered(dht.Peer, time.Duration) {}

// The drivers suit an algorithm whose state travels with the lookup and whose steps
// may lead from a node to itself.
func TestStateTravels(t *testing.T) {
	for _, style := range []Style{Iterative, Recursive} {
		t.Run(style.String(), func(t *testing.T) {
			space := dht.Space{Bits: 8}
			n := newNet(t)
			var hosts []*host[path]
			var routers []*bruijn
			var all []uint64
			for id := uint64(3); id < 256; id += 5 + id%7 {
				r := &bruijn{space: space}
				h := addHost(t, n, id, r, Config{Style: style})
				r.self = h.Peer()
				hosts, routers, all = append(hosts, h), append(routers, r), append(all, id)
			}
			for i, r := range routers {
				r.pred = hosts[(i+len(hosts)-1)%len(hosts)].Peer()
				r.succ = hosts[(i+1)%len(hosts)].Peer()
				j, _ := slices.BinarySearch(all, 2*all[i]%256)
				r.half = hosts[(j+len(hosts)-1)%len(hosts)].Peer()
			}
			for i := range 256 + len(all) { // all keys, and each host's own identifier
				origin, key := hosts[i%len(hosts)], uint64(i)
				if i >= 256 {
					origin, key = hosts[i-256], all[i-256]
				}
				j, _ := slices.BinarySearch(all, key)
				want := []uint64{all[j%len(all)], all[(j+1)%len(all)]}
				route, err := origin.lookup(t, key, 2)
				if err != nil || !slices.Equal(ids(route.Owners), want) {
					t.Fatalf("key %d: %v (%v), want %d", key, ids(route.Owners), err, want)
				}
				if len(route.Hops) > 30 {
					t.Errorf("key %d took %d hops", key, len(route.Hops))
				}
			}
		})
	}
}
