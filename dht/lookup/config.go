package lookup

import (
	"fmt"
	"time"

	"dyschord/dht"
)

// Style is how a lookup moves.
type Style uint8

const (
	// Iterative means that the origin asks every node on the way itself.
	Iterative Style = iota
	// Recursive means that each node forwards the lookup to the next.
	Recursive
)

// ParseStyle reads "iterative" or "recursive".
func ParseStyle(s string) (Style, error) {
	switch s {
	case "iterative":
		return Iterative, nil
	case "recursive":
		return Recursive, nil
	}
	return 0, fmt.Errorf("unknown lookup style %q: iterative or recursive is allowed", s)
}

// String returns the name that [ParseStyle] reads.
func (s Style) String() string {
	if s == Recursive {
		return "recursive"
	}
	return "iterative"
}

// Config is the policy of lookups. The zero value is the default.
type Config struct {
	// Style: iterative by default. Recursive has half the latency, but the origin
	// learns less of the way.
	Style Style
	// Alpha is the number of candidates asked at once while approaching, 1 to 16;
	// default 1. More hides the latency of slow and dead peers, for as many times
	// the messages. (Kademlia's paper has 3.)
	Alpha int
	// Redundancy is the number of candidates per answer, 1 to 32; default 8. They
	// are used when better ones do not answer. A lookup of n owners asks for n and
	// Redundancy sixteenths of n if that is more, so half as many besides, but for 32
	// at most.
	Redundancy int
	// Retries is how often a named owner that did not answer in time is asked again, or
	// that was busy or out of reach, after a tenth of HopTimeout; and how often a
	// recursive lookup that got lost is begun again. At most 5, default 1, -1 means
	// never. More makes wrong answers rarer on lossy links and each dead owner dearer by
	// one time-out.
	Retries int
	// HopLimit ends a lookup that moved so often, 8 to 96; default 96.
	HopLimit int
	// HopTimeout is the longest that one request may hold a lookup up, 50 ms to 1 min;
	// default 1.5 s. The Env's own time-out is mostly shorter, but grows for a peer
	// that has failed before; a lookup had better go on.
	HopTimeout time.Duration
	// Timeout ends a lookup altogether, 100 ms to 10 min; default 10 s.
	Timeout time.Duration
}

// maxHops lets the hops and the owners of an arrival fit one message.
const maxHops = dht.MaxPeers - dht.MaxOwners

// Resolve returns a copy with the defaults applied, or says which field is wrong.
// All drivers of a process may share it.
func (c Config) Resolve() (*Config, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	return &c, nil
}

func (c Config) withDefaults() Config {
	c.Alpha = orDefault(c.Alpha, 1)
	c.Redundancy = orDefault(c.Redundancy, 8)
	c.Retries = orDefault(c.Retries, 1)
	c.HopLimit = orDefault(c.HopLimit, maxHops)
	c.HopTimeout = orDefault(c.HopTimeout, 1500*time.Millisecond)
	c.Timeout = orDefault(c.Timeout, 10*time.Second)
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
	case c.Style > Recursive:
		return fmt.Errorf("lookup.style %d: iterative or recursive is allowed", c.Style)
	case c.Alpha < 1 || c.Alpha > 16:
		return fmt.Errorf("lookup.alpha %d: 1 to 16 is allowed", c.Alpha)
	case c.Redundancy < 1 || c.Redundancy > dht.MaxOwners:
		return fmt.Errorf("lookup.redundancy %d: 1 to %d is allowed", c.Redundancy, dht.MaxOwners)
	case c.Retries < -1 || c.Retries > 5:
		return fmt.Errorf("lookup.retries %d: -1 (never) to 5 is allowed", c.Retries)
	case c.HopLimit < 8 || c.HopLimit > maxHops:
		return fmt.Errorf("lookup.hop_limit %d: 8 to %d is allowed", c.HopLimit, maxHops)
	case c.HopTimeout < 50*time.Millisecond || c.HopTimeout > time.Minute:
		return fmt.Errorf("lookup.hop_timeout %s: 50ms to 1m is allowed", c.HopTimeout)
	case c.Timeout < 100*time.Millisecond || c.Timeout > 10*time.Minute:
		return fmt.Errorf("lookup.timeout %s: 100ms to 10m is allowed", c.Timeout)
	}
	return nil
}

// pause is how long a named owner that is busy or out of reach is left alone.
func (c *Config) pause() time.Duration { return c.HopTimeout / 10 }

// width is the number of candidates per answer to a lookup that wants n owners: some
// more than n, since all may name the same, and some of these may be dead.
func (c *Config) width(n int) int {
	return max(c.Redundancy, min(n+n*c.Redundancy/16, dht.MaxOwners))
}

// tries is how often a named owner is asked.
func (c *Config) tries() int { return 1 + max(0, c.Retries) }
