package dht

import (
	"context"
	"time"
)

// Overlay is a distributed hash table seen from one of its nodes: it says which
// live nodes are responsible for an identifier. It stores nothing.
//
// All methods but Kinds follow the rule of [Env]: they are called from an activity
// of the node. Join, Lookup and Leave block; the others answer from memory.
type Overlay interface {
	Service
	Membership
	Locator
	Inspector
}

// Membership is how a node enters and leaves an overlay.
type Membership interface {
	// Join enters the overlay of the seeds, trying each once, or founds a new one
	// when there are none. It starts the overlay's upkeep once it has succeeded; on
	// error nothing has started and it may be called again. Until it has succeeded, the
	// node refuses all requests with ErrRejected, and itself looks nothing up (ErrNoRoute).
	Join(ctx context.Context, seeds ...Peer) error
	// Leave says good-bye to the neighbours and stops the upkeep. An overlay heals
	// without it, only later.
	Leave(ctx context.Context) error
}

// Locator finds the nodes responsible for an identifier.
type Locator interface {
	// Lookup asks the network for up to n live owners of key, best first, and says
	// how it found them. n is at most MaxOwners. The Route is filled as far as the
	// lookup went when there is an error too.
	Lookup(ctx context.Context, key ID, n int) (Route, error)
	// Near answers the same from local knowledge alone. sure says that this node's
	// neighbourhood covers the answer; owners may be fewer than n all the same.
	// For an n under 1, and before joining, it names nobody.
	Near(key ID, n int) (peers []Peer, sure bool)
}

// MaxOwners is the most owners one lookup may ask for, MaxPeers the most peers that
// all lists of a message together may hold, and MaxContact the longest contact of
// one of them, in bytes: so that they fit a frame.
const (
	MaxOwners  = 32
	MaxPeers   = 128
	MaxContact = 400
)

// Inspector shows an overlay's state.
type Inspector interface {
	// Table is a snapshot of the routing state in the algorithm's own terms.
	Table() Table
	// Explain puts the reason for a hop into the algorithm's own terms.
	Explain(Reason) string
}

// Factory makes the overlay of one node, which is a member of nothing yet. All nodes
// it makes share the settings it was made with.
type Factory func(Env) Overlay

// Prefiller is an overlay whose tables can be built from full knowledge, so that a
// simulation need not wait for a large overlay to converge. Results say so.
type Prefiller interface {
	// Prefill enters the overlay of exactly these nodes, sorted by ID, self included.
	Prefill(sorted []Peer)
}

// Route is the outcome of a lookup.
//
// A forwarding hop is one move of the lookup from a node to the next: the final
// move to the owner counts, asking oneself does not. So a lookup that the origin
// answers from its own tables has one hop if somebody else is the owner, and none
// if it is the owner itself. The hops are the chain of naming that led from the
// origin to the first owner: branches that were asked and led nowhere count as
// messages (and time-outs), not as hops. If the first owner is the origin, the chain
// ends at the node that named it. Rounds, messages and time-outs are separate figures.
//
// Owners have answered during this lookup, or the origin's own upkeep holds them for
// live: the same for every algorithm.
type Route struct {
	Key      ID
	Owners   []Peer        // best first
	Hops     []Hop         // in order; the last is the first owner, if that is another node
	Rounds   int           // longest chain of requests that each waited for an answer to one before
	Messages int           // requests sent, repeated ones included
	Timeouts int           // requests that were given up
	Took     time.Duration // from the call to the return of Lookup
}

// Hop is one move of a lookup.
type Hop struct {
	Peer    Peer
	Latency time.Duration // until it answered; 0 if it was named but not asked
	Why     Reason        // why the node before it named it
}

// Reason says by which rule of the algorithm a node was chosen, without the cost
// of a text: [Inspector.Explain] makes one.
type Reason struct {
	Rule uint8 `cbor:"1,keyasint,omitempty"` // the algorithm's own numbering
	N    int32 `cbor:"2,keyasint,omitempty"` // finger, bucket or digit
	At   ID    `cbor:"3,keyasint,omitempty"` // finger start or imaginary node
}

// Table is routing state for people.
type Table struct {
	Algorithm string
	Self      Peer
	Sections  []Section
}

// Section is one part of a table: the successor list, say.
type Section struct {
	Name    string
	Entries []Entry
}

// Entry is one line of a section.
type Entry struct {
	Label string // what this place in the table is for
	Peer  Peer
}

// Event is something that happened at a node, for metrics, dashboards and the lab.
// Consumers switch on the type and ignore what they do not know.
type Event any

// LookupDone is the event at the end of every lookup, at its origin.
type LookupDone struct {
	Route  Route
	Err    error
	Upkeep bool // made by the overlay for its own tables, not for a user
}
