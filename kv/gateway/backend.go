package gateway

import (
	"context"
	"errors"
	"time"

	"dyschord/dht"
	"dyschord/kv"
)

// Backend is the node behind a gateway. All methods may be called from many
// goroutines at once; all but Describe respect their context. Errors are those of
// packages kv and dht, wrapped or not; any other is answered with status 500, and
// counts as an unknown outcome where it ends a write.
type Backend interface {
	Items
	Cluster
	Host
}

// Items is the key-value store.
type Items interface {
	// Get returns the committed value of key, or kv.ErrNotFound.
	Get(ctx context.Context, key []byte) (kv.Item, Access, error)
	// Put stores a value. With an error, Written may still say how many replicas
	// acknowledged.
	Put(ctx context.Context, key []byte, p kv.Put) (kv.Written, Access, error)
	// Delete removes a value; a key without one is no error. With an error, Written
	// may still say how many replicas acknowledged.
	Delete(ctx context.Context, key []byte) (kv.Written, Access, error)
}

// Cluster is what a node sees of the others. The results are encoded as they are.
type Cluster interface {
	// LookupKey finds the owners of key's slot by a lookup of the slot's first
	// identifier. The Lookup is filled as far as it went when there is an error too.
	LookupKey(ctx context.Context, key []byte) (Lookup, error)
	// LookupID finds the owners of an identifier, which is one of Config.Space.
	LookupID(ctx context.Context, id dht.ID) (Lookup, error)
	// Ring is the whole cluster, by a bounded crawl. What did not answer makes it
	// incomplete, not an error.
	Ring(ctx context.Context) (Ring, error)
	// Table is this node's routing table.
	Table(ctx context.Context) (Table, error)
}

// ErrNotMember is what Host.Leave says of a node that is no member of a cluster: not
// yet, or not any more.
var ErrNotMember = errors.New("the node is not a member of a cluster")

// Host is the node itself.
type Host interface {
	// Describe says who the node is and what it is doing. It does not block.
	Describe() NodeInfo
	// Ready runs the checks for readiness. The node is ready if all are OK.
	Ready(ctx context.Context) []Check
	// Leave begins to hand the node's data over and returns at once; Describe shows
	// the progress. Leaving twice is no error. ErrNotMember if there is nothing to
	// leave.
	Leave(ctx context.Context) error
}

// Access says how an operation reached the key.
type Access struct {
	Owner string // peer id of the node that answered; empty if nobody did
	Hops  int    // forwarding hops of the lookup; 0 when the members were known
}

// NodeInfo is the answer of GET /v1/node.
type NodeInfo struct {
	ID         string    `json:"id"`
	PeerID     string    `json:"peer_id"`
	Multiaddrs []string  `json:"multiaddrs"`
	Cluster    string    `json:"cluster"`
	Algorithm  string    `json:"algorithm"`
	Version    string    `json:"version"`
	State      string    `json:"state"`            // starting, joining, ready, leaving, left or stopped
	Detail     string    `json:"detail,omitempty"` // why joining takes long, or how far leaving has come
	Bits       int       `json:"bits"`
	Hash       string    `json:"hash"`
	Slots      int       `json:"slots"`
	Replicas   int       `json:"replicas"`
	Started    time.Time `json:"started"`
	Uptime     float64   `json:"uptime"` // seconds; filled in by the gateway from Started
	Limits     Limits    `json:"limits"` // filled in by the gateway
}

// Limits are what the gateway enforces.
type Limits struct {
	KeyBytes         int `json:"key_bytes"`
	ValueBytes       int `json:"value_bytes"`
	ContentTypeBytes int `json:"content_type_bytes"`
	InFlight         int `json:"in_flight"`
	BodyBytes        int `json:"body_bytes"` // of all requests in flight together
}

// Ring is the answer of GET /v1/ring.
type Ring struct {
	Members         []Member `json:"members"`
	Slots           []Slot   `json:"slots"`
	UnderReplicated int      `json:"under_replicated_slots"`
	Complete        bool     `json:"complete"` // false where anything did not answer
}

// Member is a node of the cluster.
type Member struct {
	ID         string   `json:"id"`
	PeerID     string   `json:"peer_id"`
	Multiaddrs []string `json:"multiaddrs"`
	State      string   `json:"state"`
}

// Slot is a part of the identifier space and the nodes that hold it, by identifier.
type Slot struct {
	Slot    uint32   `json:"slot"`
	Epoch   uint64   `json:"epoch"`
	State   string   `json:"state"`
	Members []string `json:"members"`
}

// Lookup is the answer of GET /v1/lookup/{key}.
type Lookup struct {
	KeyID    string   `json:"key_id"`
	Slot     uint32   `json:"slot"`
	SlotID   string   `json:"slot_id"` // where the slot begins
	Owners   []Owner  `json:"owners"`
	Hops     []Hop    `json:"hops"`
	Messages int      `json:"messages"`
	Timeouts int      `json:"timeouts"`
	Took     Duration `json:"took_ms"`
}

// Owner is a node that a lookup found, best first.
type Owner struct {
	ID     string `json:"id"`
	PeerID string `json:"peer_id"`
}

// Hop is one move of a lookup.
type Hop struct {
	ID      string   `json:"id"`
	PeerID  string   `json:"peer_id"`
	Latency Duration `json:"latency_ms"` // 0 if the node was named but not asked
	Why     string   `json:"why"`
}

// Duration is encoded as a number of milliseconds, with three decimals.
type Duration time.Duration

// MarshalJSON writes milliseconds.
func (d Duration) MarshalJSON() ([]byte, error) {
	return appendMilliseconds(nil, time.Duration(d)), nil
}

// Table is the answer of GET /v1/table.
type Table struct {
	Algorithm string    `json:"algorithm"`
	Self      Owner     `json:"self"`
	Sections  []Section `json:"sections"`
}

// Section is one part of a routing table: the successor list, say.
type Section struct {
	Name    string  `json:"name"`
	Entries []Entry `json:"entries"`
}

// Entry is one line of a section; without a node its ID is empty.
type Entry struct {
	Label  string `json:"label"`
	ID     string `json:"id"`
	PeerID string `json:"peer_id"`
}

// Check is one condition of readiness.
type Check struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	Why  string `json:"why,omitempty"` // what is missing, if not OK
}
