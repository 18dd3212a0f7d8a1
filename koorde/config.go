package koorde

import (
	"fmt"
	"math/bits"
	"time"

	"dyschord/dht"
	"dyschord/dht/lookup"
	"dyschord/dht/ring"
)

// Config is the settings of Koorde. The zero value is the default.
type Config struct {
	// Space is the identifier space; all members agree on it. Default 128 bits.
	Space dht.Space
	// Lookup is the policy of lookups, the same for all algorithms.
	Lookup lookup.Config
	// Degree is k of the de Bruijn graph, a power of two from 2 to 64; default 16. All
	// members agree on it. A lookup takes about log_k N moves, so a larger degree
	// makes it shorter, and needs as many more pointers.
	Degree int
	// Pointers is how many de Bruijn pointers a node keeps from the anchor on, Degree
	// to 120; default 2·Degree, at most 120. Fewer lengthen lookups that pass through
	// wide gaps of the ring; more cost memory, and upkeep in proportion. Four more
	// are kept before the anchor in any case.
	Pointers int
	// Successors is the length of the successor list, 1 to 32; default 8. It bounds
	// the replicas a store can place from one node's knowledge, and how many
	// neighbours in a row may fail at once.
	Successors int
	// Stabilize is the interval of the ring's upkeep, 10 ms to 1 h; default 1 s. A
	// crash is repaired within one interval and three time-outs. A quiet node sends
	// one request per interval.
	Stabilize time.Duration
	// Refresh is how many Stabilize intervals lie between two looks at a stretch of
	// the pointers while these are quiet, 1 to 10,000; default 10. One look is one
	// request and covers as many pointers as the successor list is long. While
	// pointers change, up to four looks are taken in each interval. Stale pointers
	// make lookups longer, not wrong.
	Refresh int
	// Tries is how many requests in a row a neighbour must leave unanswered to be
	// taken for dead, 1 to 10; default 3.
	Tries int
	// HealEvery is how many Stabilize intervals lie between two probes of a lost
	// peer or seed, by which healed partitions are noticed, 1 to 10,000; default 10.
	HealEvery int
}

const (
	minDegree = 2
	maxDegree = 64
	// backups is how many nodes before the anchor are kept: where the anchor is dead,
	// an imaginary node just behind k·m has no other legal next hop.
	backups = 4
	// maxPointers lets all pointers, with the backups, fit one message.
	maxPointers = 120
)

// settings are a Config resolved, shared by all nodes of a factory.
type settings struct {
	graph
	pointers int
	refresh  int
	ring     *ring.Config
	lookup   *lookup.Config
}

func (c Config) withDefaults() Config {
	if c.Degree == 0 {
		c.Degree = 16
	}
	if c.Pointers == 0 {
		c.Pointers = min(2*c.Degree, maxPointers)
	}
	if c.Refresh == 0 {
		c.Refresh = 10
	}
	return c
}

// K is the degree, with the default applied.
func (c Config) K() int { return c.withDefaults().Degree }

func (c Config) validate() error {
	switch {
	case c.Degree < minDegree || c.Degree > maxDegree || bits.OnesCount(uint(c.Degree)) != 1:
		return fmt.Errorf("koorde.degree %d: a power of two from %d to %d is allowed", c.Degree, minDegree, maxDegree)
	case c.Pointers < c.Degree || c.Pointers > maxPointers:
		return fmt.Errorf("koorde.pointers %d: %d (the degree) to %d is allowed", c.Pointers, c.Degree, maxPointers)
	case c.Refresh < 1 || c.Refresh > 10_000:
		return fmt.Errorf("koorde.refresh %d: 1 to 10000 is allowed", c.Refresh)
	}
	return c.Space.Validate()
}

func (c Config) resolve() (*settings, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	rc, err := ring.Config{
		Space: c.Space, Successors: c.Successors, Stabilize: c.Stabilize, Tries: c.Tries, HealEvery: c.HealEvery,
	}.Resolve()
	if err != nil {
		return nil, fmt.Errorf("koorde.%w", err)
	}
	lc, err := c.Lookup.Resolve()
	if err != nil {
		return nil, err
	}
	return &settings{graph{c.Space, uint(bits.Len(uint(c.Degree)) - 1)}, c.Pointers, c.Refresh, rc, lc}, nil
}
