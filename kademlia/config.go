package kademlia

import (
	"fmt"
	"time"

	"dyschord/dht"
	"dyschord/dht/lookup"
)

// Config is the settings of Kademlia. The zero value is the default.
type Config struct {
	// Space is the identifier space; all members agree on it. Default 128 bits.
	Space dht.Space
	// Lookup is the policy of lookups, the same for all algorithms.
	Lookup lookup.Config
	// K is the size of a bucket, 1 to 32; default 20, the paper's. It is chosen such
	// that k nodes hardly ever fail within one refresh of their bucket. More shortens
	// lookups, and takes 24 bytes for each peer of each bucket. Members may differ.
	K int
	// Siblings is how many of the nodes closest to itself a node keeps, whatever their
	// buckets, 1 to 32; default 20. They make owners right, and bound the replicas a
	// store can place from one node's knowledge: take twice as many as are wanted of a
	// key. So many less one may fail at once.
	Siblings int
	// Interval is the interval of a node's upkeep, 10 ms to 1 h; default 1 s. A crash
	// is noticed by one of the siblings within about one interval and known to all
	// some intervals later. A quiet node sends one request per interval to a sibling.
	Interval time.Duration
	// Refresh is how many intervals lie between the refreshes of two buckets, 1 to
	// 10,000; default 2. Each costs a request, and each bucket has its turn. Stale
	// buckets make lookups longer, not wrong.
	Refresh int
	// Tries is how many requests in a row a peer must leave unanswered to be taken
	// for dead, 1 to 10; default 3.
	Tries int
	// HealEvery is how many intervals lie between two probes of a lost peer or seed, by
	// which healed partitions are noticed, 1 to 10,000; default 10.
	HealEvery int
	// Proximity lets a full bucket prefer peers with shorter round trips; off by
	// default. Lookups get faster and not shorter. Refreshes then measure strangers,
	// which costs up to four requests more each, and 24 bytes for each peer held.
	Proximity bool
}

// settings are a Config resolved, shared by all nodes of a factory.
type settings struct {
	Config
	lookup *lookup.Config
}

func (c Config) withDefaults() Config {
	c.K = orDefault(c.K, 20)
	c.Siblings = orDefault(c.Siblings, 20)
	c.Interval = orDefault(c.Interval, time.Second)
	c.Refresh = orDefault(c.Refresh, 2)
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
	case c.K < 1 || c.K > dht.MaxOwners:
		return fmt.Errorf("kademlia.k %d: 1 to %d is allowed", c.K, dht.MaxOwners)
	case c.Siblings < 1 || c.Siblings > dht.MaxOwners:
		return fmt.Errorf("kademlia.siblings %d: 1 to %d is allowed", c.Siblings, dht.MaxOwners)
	case c.Interval < 10*time.Millisecond || c.Interval > time.Hour:
		return fmt.Errorf("kademlia.interval %s: 10ms to 1h is allowed", c.Interval)
	case c.Refresh < 1 || c.Refresh > 10_000:
		return fmt.Errorf("kademlia.refresh %d: 1 to 10000 is allowed", c.Refresh)
	case c.Tries < 1 || c.Tries > 10:
		return fmt.Errorf("kademlia.tries %d: 1 to 10 is allowed", c.Tries)
	case c.HealEvery < 1 || c.HealEvery > 10_000:
		return fmt.Errorf("kademlia.heal_every %d: 1 to 10000 is allowed", c.HealEvery)
	}
	return c.Space.Validate()
}

func (c Config) resolve() (*settings, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	policy, err := c.Lookup.Resolve()
	if err != nil {
		return nil, err
	}
	return &settings{c, policy}, nil
}
