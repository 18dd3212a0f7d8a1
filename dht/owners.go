package dht

import "slices"

// Ownership is an algorithm's definition of who is responsible for a key: it names
// the n owners among all members, best first. members are sorted by ID and not
// changed. It is what full knowledge would answer, for tests and experiments.
type Ownership func(members []Peer, key ID, n int) []Peer

// Successors is the ownership of ring overlays (Chord, Koorde): the first n members
// from key on, clockwise.
func Successors(members []Peer, key ID, n int) []Peer {
	owners := make([]Peer, 0, min(n, len(members)))
	at := firstFrom(members, key)
	for i := range min(n, len(members)) {
		owners = append(owners, members[(at+i)%len(members)])
	}
	return owners
}

// Closest is the ownership of Kademlia: the n members of least XOR distance to key.
func Closest(members []Peer, key ID, n int) []Peer {
	n = min(n, len(members))
	return closest(make([]Peer, 0, n), members, key, n, MaxBits)
}

// closest appends the members closest to key until owners has n. All members agree
// in the bits from the given one upwards, so they fall into two halves by the bit
// below: those that agree with key there are closer than all others.
func closest(owners, members []Peer, key ID, n int, bit uint) []Peer {
	if len(owners) == n || len(members) == 0 {
		return owners
	}
	if bit == 0 || len(members) == 1 {
		return append(owners, members[:min(n-len(owners), len(members))]...)
	}
	bit--
	one := ID{0, 1}.Shl(bit)
	high := members[0].ID.Shr(bit).Or(ID{0, 1}).Shl(bit) // the least identifier with a 1 there
	at := firstFrom(members, high)
	near, far := members[:at], members[at:]
	if key.And(one) != (ID{}) {
		near, far = far, near
	}
	return closest(closest(owners, near, key, n, bit), far, key, n, bit)
}

// firstFrom is the place of the first member at or after id as plain numbers.
func firstFrom(members []Peer, id ID) int {
	at, _ := slices.BinarySearchFunc(members, id, func(p Peer, id ID) int { return p.ID.Cmp(id) })
	return at
}
