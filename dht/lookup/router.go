package lookup

import (
	"time"

	"dyschord/dht"
)

// Router is an algorithm's part of a lookup, answered from one node's memory. No
// method blocks. Slices it returns are not changed afterwards by either side.
type Router[S comparable] interface {
	// Begin is the state of a lookup that starts at this node.
	Begin(key dht.ID) S
	// Next names the candidates that lead on, or the owners once this node knows
	// them, or both; each best first and at most n. This node may be named as an owner
	// besides, in its place or at the end: it lives, and the others may not.
	Next(key dht.ID, state S, n int) (steps []Step[S], owners []dht.Peer)
	// Owners answers somebody who was told that this node is an owner of key: the
	// owners as this node knows them, itself in its place or besides, at most n others.
	Owners(key dht.ID, n int) []dht.Peer
	// Nearer is the measure of progress: whether a is strictly nearer to the end of
	// the lookup than b.
	Nearer(key dht.ID, a, b Step[S]) bool
	// Before is the order of owners: whether a comes before b.
	Before(key dht.ID, a, b dht.Peer) bool
	// Answered hears that p, in this incarnation, answered a request of this node's and
	// did not refuse it, so long after it was asked.
	Answered(p dht.Peer, rtt time.Duration)
	// Suspect hears that p did not answer: this node, or somebody to whom this node had
	// named it. It is a hint, perhaps a wrong or a malicious one: probe before believing.
	Suspect(p dht.Peer)
}

// OwnerReasoner is a Router that has more to say of an owner than RuleOwner: why namer
// names it, as anybody can tell who knows the two and the key. It is no part of an
// answer and costs no bytes.
type OwnerReasoner interface {
	OwnerReason(key dht.ID, namer, owner dht.Peer) dht.Reason
}

// Step is a candidate for the next move of a lookup.
type Step[S comparable] struct {
	Peer  dht.Peer   `cbor:"1,keyasint"`
	State S          `cbor:"2,keyasint,omitempty"` // with which it is to be asked
	Why   dht.Reason `cbor:"3,keyasint,omitempty"`
}

// The reasons that belong to no algorithm. Algorithms number theirs 1 to 254.
const (
	// RuleOwner: the node before it named it as an owner of the key.
	RuleOwner = 0
	// RuleSeed: the caller began the lookup there.
	RuleSeed = 255
)
