package ring

import (
	"fmt"
	"time"

	"dyschord/dht"
)

// Config is the settings of ring upkeep. The zero value is the default.
type Config struct {
	// Space is the identifier space; all members agree on it. Default 128 bits.
	Space dht.Space
	// Successors is the length of the successor list, 1 to 32; default 8. The ring
	// survives the failure of so many neighbours less one at the same time. More
	// shortens lookups and lengthens every stabilize reply.
	Successors int
	// Stabilize is the interval of a node's upkeep, 10 ms to 1 h; default 1 s. A
	// crash is repaired within one interval and Tries time-outs; every interval
	// costs a node one request.
	Stabilize time.Duration
	// Tries is how many requests in a row a peer must leave unanswered to be taken
	// for dead, 1 to 10; default 3. Fewer repairs faster, and drops live neighbours
	// (for a round or two) on lossy links.
	Tries int
	// HealEvery is how many upkeep intervals lie between two probes of a lost peer
	// or a seed, 1 to 10,000; default 10. A healed partition is noticed after about
	// so many. A node without neighbours probes in every interval.
	HealEvery int
}

// Resolve returns a copy with the defaults applied, or says which field is wrong.
// All rings of a process may share it.
func (c Config) Resolve() (*Config, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	return &c, nil
}

func (c Config) withDefaults() Config {
	c.Successors = orDefault(c.Successors, 8)
	c.Stabilize = orDefault(c.Stabilize, time.Second)
	c.Tries = orDefault(c.Tries, 3)
	c.HealEvery = orDefault(c.HealEvery, 10)
	return c
}

func orDefault[T int | time.Duration](v, standard T) T {
	if v == 0 {
		return standard
	}
	return v
}

func (c Config) validate() error {
	switch {
	case c.Successors < 1 || c.Successors > dht.MaxOwners:
		return fmt.Errorf("successors %d: 1 to %d is allowed", c.Successors, dht.MaxOwners)
	case c.Stabilize < 10*time.Millisecond || c.Stabilize > time.Hour:
		return fmt.Errorf("stabilize %s: 10ms to 1h is allowed", c.Stabilize)
	case c.Tries < 1 || c.Tries > 10:
		return fmt.Errorf("tries %d: 1 to 10 is allowed", c.Tries)
	case c.HealEvery < 1 || c.HealEvery > 10_000:
		return fmt.Errorf("heal_every %d: 1 to 10000 is allowed", c.HealEvery)
	}
	return c.Space.Validate()
}
