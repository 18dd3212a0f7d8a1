package main

import (
	"math/bits"
	"time"
)

// system is something whose states can be explored.
type system[S any] interface {
	// start is the first state.
	start() S
	// next hands out every state that is one step from s, with the step. The state is
	// the callee's to change.
	next(s *S, out func(step, *S))
	// reduce brings s into the form of its class: what can make no difference any more
	// is cleared. A trace goes through reduced states.
	reduce(s *S)
	// id is equal for states that differ in the names of nodes alone.
	id(s *S) id
	// broken says which invariant does not hold in s, "" if all do.
	broken(s *S) string
}

// id stands for a class of states: 128 bits of a hash of its canonical encoding. Two
// classes of ten million share one with a probability of 10^-25.
type id struct{ hi, lo uint64 }

// outcome is what an exploration found.
type outcome[S any] struct {
	states   int  // distinct classes, the first included
	edges    int  // steps tried
	depth    int  // steps from the start to the states found last
	complete bool // there is nothing else within the bounds
	took     time.Duration
	fired    map[kind]int // steps by kind

	broken string // the invariant that does not hold, or ""
	trace  []move[S]
}

// move is a step of a counterexample and where it leads.
type move[S any] struct {
	step  step
	after S
}

// explore visits every state that can be reached, those nearest to the start first,
// until an invariant does not hold or more than limit states were found. So a
// counterexample is as short as one can be.
func explore[S any](sys system[S], limit int) outcome[S] {
	began := time.Now()
	res := outcome[S]{fired: make(map[kind]int)}
	first := sys.start()
	sys.reduce(&first)
	seen := newVisited()
	seen.add(sys.id(&first), 0)
	level, bad := []S{first}, -1
	if res.broken = sys.broken(&first); res.broken != "" {
		bad = 0
	}
	for at := 0; bad < 0 && seen.len() <= limit; res.depth++ {
		var following []S
		for i := range level {
			parent := uint32(at + i)
			sys.next(&level[i], func(st step, s *S) {
				res.edges++
				res.fired[st.kind]++
				sys.reduce(s)
				if bad >= 0 || !seen.add(sys.id(s), parent) {
					return
				}
				if res.broken = sys.broken(s); res.broken != "" {
					bad = seen.len() - 1
				}
				following = append(following, *s)
			})
			if bad >= 0 || seen.len() > limit {
				break
			}
		}
		if len(following) == 0 {
			break
		}
		at += len(level)
		level = following
	}
	res.states, res.complete, res.took = seen.len(), bad < 0 && seen.len() <= limit, time.Since(began)
	if bad >= 0 {
		res.trace = retrace(sys, seen.path(uint32(bad)))
	}
	return res
}

// retrace finds steps that lead along a path of classes, so that nodes keep their
// names from one step to the next.
func retrace[S any](sys system[S], path []id) []move[S] {
	at := sys.start()
	sys.reduce(&at)
	var trace []move[S]
	for _, want := range path[1:] {
		var m move[S]
		found := false
		sys.next(&at, func(st step, s *S) {
			if found {
				return
			}
			if sys.reduce(s); sys.id(s) == want {
				m, found = move[S]{st, *s}, true
			}
		})
		if !found {
			panic("kvmodel: a step of a path cannot be taken again: states of one class differ")
		}
		trace = append(trace, m)
		at = m.after
	}
	return trace
}

// visited is a set of classes in the order in which they were found, each with the
// place of the one it was found from: 28 to 36 bytes for each.
type visited struct {
	ids    []id
	parent []uint32
	table  []uint32 // places plus one, by hash; a power of two of them
}

func newVisited() *visited { return &visited{table: make([]uint32, 1<<10)} }

func (v *visited) len() int { return len(v.ids) }

// add says whether x is new.
func (v *visited) add(x id, parent uint32) bool {
	if 2*len(v.ids) >= len(v.table) {
		v.grow()
	}
	slot := v.slot(x)
	if v.table[slot] != 0 {
		return false
	}
	v.ids, v.parent = append(v.ids, x), append(v.parent, parent)
	v.table[slot] = uint32(len(v.ids))
	return true
}

// slot is where x is in the table, or should be.
func (v *visited) slot(x id) uint64 {
	mask := uint64(len(v.table) - 1)
	for at := x.lo & mask; ; at = (at + 1) & mask {
		if p := v.table[at]; p == 0 || v.ids[p-1] == x {
			return at
		}
	}
}

func (v *visited) grow() {
	v.table = make([]uint32, 2*len(v.table))
	for i, x := range v.ids {
		v.table[v.slot(x)] = uint32(i + 1)
	}
}

// path is the way from the first class to the one at place at.
func (v *visited) path(at uint32) []id {
	var back []id
	for ; at != 0; at = v.parent[at] {
		back = append(back, v.ids[at])
	}
	path := []id{v.ids[0]}
	for i := range back {
		path = append(path, back[len(back)-1-i])
	}
	return path
}

// hash mixes an encoding into 128 bits.
func hash(words []uint64) id {
	const k0, k1, k2 = 0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb
	a, b := uint64(k0), uint64(k1)
	for _, w := range words {
		hi, lo := bits.Mul64(w^a, k2)
		a = bits.RotateLeft64(a^hi, 23)*k1 + lo
		hi, lo = bits.Mul64(w+b, k0)
		b = bits.RotateLeft64(b+lo, 41)*k2 ^ hi
	}
	a ^= a >> 32
	b ^= b >> 29
	return id{a * k0, b * k1}
}
