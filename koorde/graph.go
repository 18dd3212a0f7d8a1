package koorde

import "dyschord/dht"

// graph is the de Bruijn graph of degree 2^digit on the points of a space. From every
// point i an edge leads to each of the points k·i + c, for the digits c from 0 to k-1.
type graph struct {
	space dht.Space
	digit uint // bits of a digit
}

// walk is how far a lookup has come in the de Bruijn graph. It travels with the lookup.
// What the paper calls kshift, the part of the key that is still to be shifted in, is
// the lowest Left digits of the key.
type walk struct {
	// Imaginary is i, the point where the walk stands. The rest of its bits, those that
	// no digit will push out, are the top bits of the key already.
	Imaginary dht.ID `cbor:"1,keyasint"`
	// Left is how many digits of the key are still to be shifted in. With none left,
	// the walk stands at the key.
	Left uint8 `cbor:"2,keyasint,omitempty"`
	// Budget is what the walk may still cost. So it ends, whatever the nodes on its way
	// know, and a candidate that has cost more is further along.
	Budget uint8 `cbor:"3,keyasint,omitempty"`
}

// What a walk may cost at all, and what a move costs: of the ways on that a node
// offers, those it believes in cost more than those that are left if these are dead.
const (
	maxBudget    = 192
	firstChoice  = 2
	secondChoice = 1
)

// edges is k·m, where the edges of point m lead to.
func (g graph) edges(m dht.ID) dht.ID { return g.space.Trim(m.Shl(g.digit)) }

// digits is how many digits a key has. If its bits are no multiple of a digit's, the
// first digit is a short one: it has only the bits that remain.
func (g graph) digits() uint8 { return uint8((g.space.Width() + g.digit - 1) / g.digit) }

// shift pushes the next digit of the key into the walk: i becomes k·i + c.
func (g graph) shift(key dht.ID, w walk) (next walk, digit int32) {
	w.Left--
	c := key.Shr(g.digit * uint(w.Left)).And(dht.NewID(0, 1<<g.digit-1))
	w.Imaginary = g.edges(w.Imaginary).Or(c)
	return w, int32(c.Lo())
}

// begin finds the point of (m, next] that leaves the fewest digits to shift in: its
// low bits are the top bits of the key already, and it keeps as few of the high bits
// of m as the width of the gap allows. Of several such points it is the first.
//
// So the number of digits follows the number of nodes, not the bits of the space. A
// walk with all digits left can begin anywhere.
func (g graph) begin(key, m, next dht.ID) walk {
	width := g.space.Width()
	for left := range g.digits() {
		low := width - g.digit*uint(left)
		i := m.Shr(low).Shl(low).Or(key.Shr(g.digit * uint(left)))
		if !m.Less(i) {
			i = g.space.Add(i, g.space.Pow2(low))
		}
		if dht.BetweenIncl(m, i, next) {
			return walk{i, left, maxBudget}
		}
	}
	return walk{g.space.Add(m, dht.NewID(0, 1)), g.digits(), maxBudget}
}

// spend is w after a move of the given cost. It fails when that is more than w has.
func (w walk) spend(cost uint8) (walk, bool) {
	if w.Budget < cost {
		return w, false
	}
	w.Budget -= cost
	return w, true
}

// valid says whether w can belong to a lookup of key. It may come from the wire.
func (g graph) valid(key dht.ID, w walk) bool {
	if w.Left > g.digits() || w.Budget > maxBudget || !g.space.Contains(w.Imaginary) {
		return false
	}
	out := g.digit * uint(w.Left)
	if out >= g.space.Width() {
		return true // nothing of the key is in it yet
	}
	high := dht.MaxBits - g.space.Width() + out
	return w.Imaginary.Shl(high).Shr(high) == key.Shr(out)
}
