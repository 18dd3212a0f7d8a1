package chord

import (
	"fmt"
	"time"

	"dyschord/dht"
	"dyschord/dht/lookup"
	"dyschord/dht/ring"
)

// Config is the settings of Chord. The zero value is the default.
type Config struct {
	// Space is the identifier space; all members agree on it. Default 128 bits.
	Space dht.Space
	// Lookup is the policy of lookups, the same for all algorithms.
	Lookup lookup.Config
	// Successors is the length r_s of the successor list, 1 to 32; default 8. It
	// bounds the replicas a store can place from one node's knowledge, and how many
	// neighbours in a row may fail at once. The proof asks for at least 2.
	Successors int
	// Stabilize is the interval of the ring's upkeep, 10 ms to 1 h; default 1 s. A
	// crash is repaired within one interval and three time-outs. A quiet node sends
	// one request per interval.
	Stabilize time.Duration
	// Fingers is how many Stabilize intervals lie between two refreshed fingers
	// while the ring is quiet, 1 to 10,000; default 10. While fingers change, four
	// are refreshed in each interval. Stale fingers make lookups longer, not wrong, and
	// dead ones cost a time-out each. With a Stabilize of a minute, 4 is better.
	Fingers int
	// Proximity chooses each finger by round trips among the nodes of its octave; default
	// false: the first of them, as in the paper. Lookups then take about as many hops and
	// a quarter to a third less time, where round trips differ as on the Internet. A
	// refreshed finger costs five requests instead of one.
	Proximity bool
	// Tries is how many requests in a row a neighbour must leave unanswered to be
	// taken for dead, 1 to 10; default 3.
	Tries int
	// HealEvery is how many Stabilize intervals lie between two probes of a lost
	// peer or seed, by which healed partitions are noticed, 1 to 10,000; default 10.
	HealEvery int
}

// settings are a Config resolved, shared by all nodes of a factory.
type settings struct {
	space     dht.Space
	fingers   int
	proximity bool
	ring      *ring.Config
	lookup    *lookup.Config
}

func (c Config) withDefaults() Config {
	if c.Fingers == 0 {
		c.Fingers = 10
	}
	return c
}

func (c Config) validate() error {
	if c.Fingers < 1 || c.Fingers > 10_000 {
		return fmt.Errorf("chord.fingers %d: 1 to 10000 is allowed", c.Fingers)
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
		return nil, fmt.Errorf("chord.%w", err)
	}
	lc, err := c.Lookup.Resolve()
	if err != nil {
		return nil, err
	}
	return &settings{c.Space, c.Fingers, c.Proximity, rc, lc}, nil
}
