package kv

import (
	"fmt"
	"math/bits"
	"time"

	"dyschord/dht"
	"dyschord/kv/store"
)

// Config says how a node takes part in the store. Its zero value works.
type Config struct {
	// Space is the identifier space that keys are hashed into. All members agree.
	// Default: 128 bits, SHA-256.
	Space dht.Space
	// Slots is the number of equal parts of the space, each replicated on its own: a
	// power of two, MinSlots to MaxSlots and no more than the space has points. Fixed
	// when a cluster is founded. Default 256, or fewer in a narrow space. More slots
	// spread load more evenly and cost more upkeep.
	Slots int
	// Replicas is how many nodes hold a slot, 1 to MaxReplicas. Default 3: one may be
	// lost. Even numbers tolerate no more losses than the odd number below.
	Replicas int
	// Heartbeat is the interval between signs of life of nodes that share slots, 10 ms
	// to 1 min. Default 1 s. A node that dies silently is replaced after about four.
	Heartbeat time.Duration
	// MaxValue is the longest value, in bytes, 1 to 16 MiB. Default 1 MiB. All members
	// should agree: a replica must be able to receive what another accepted. A value is
	// one message and is held in memory as a whole, by each member several times; larger
	// things are better cut into pieces.
	MaxValue int
	// Timeout ends an operation whose context has no earlier deadline, and so bounds
	// how long a client waits for an unavailable slot. Default 10 s.
	Timeout time.Duration
	// MaxOps is how many operations of clients a node carries on at once; more are
	// refused with ErrOverloaded. Default 4096.
	MaxOps int
	// MaxPending bounds the bytes of writes that a node has numbered and not yet
	// committed; more are refused with ErrOverloaded. At least one write with the longest
	// key, value and type must fit. Default 64 MiB, or four times MaxValue if that is more.
	MaxPending int
	// Fatal is called once, when the disk failed and the node must stop: what it wrote
	// last may or may not be durable, so it answers nothing any more. Default: nothing
	// happens beyond a line in the log.
	Fatal func(error)
}

// Limits of a Config.
const (
	MinSlots    = 16
	MaxSlots    = 1 << 16
	MaxReplicas = 9
	maxMaxValue = 16 << 20
)

const defaultSlots = 256

func (c Config) withDefaults() Config {
	if c.Slots == 0 {
		c.Slots = defaultSlots
		if w := c.Space.Width(); w < 8 {
			c.Slots = 1 << w
		}
	}
	if c.Replicas == 0 {
		c.Replicas = 3
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = time.Second
	}
	if c.MaxValue == 0 {
		c.MaxValue = 1 << 20
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.MaxOps == 0 {
		c.MaxOps = 4096
	}
	if c.MaxPending == 0 {
		c.MaxPending = max(64<<20, 4*c.MaxValue)
	}
	if c.Fatal == nil {
		c.Fatal = func(error) {}
	}
	return c
}

func (c Config) validate() error {
	if err := c.Space.Validate(); err != nil {
		return fmt.Errorf("kv: %w", err)
	}
	most := MaxSlots
	if w := c.Space.Width(); w < 16 {
		most = 1 << w
	}
	switch {
	case c.Slots < MinSlots || c.Slots > most || bits.OnesCount(uint(c.Slots)) != 1:
		return fmt.Errorf("kv: slots is %d: a power of two from %d to %d is allowed", c.Slots, MinSlots, most)
	case c.Replicas < 1 || c.Replicas > MaxReplicas:
		return fmt.Errorf("kv: replicas is %d: 1 to %d is allowed", c.Replicas, MaxReplicas)
	case c.Heartbeat < 10*time.Millisecond || c.Heartbeat > time.Minute:
		return fmt.Errorf("kv: heartbeat is %s: 10ms to 1m is allowed", c.Heartbeat)
	case c.MaxValue < 1 || c.MaxValue > maxMaxValue:
		return fmt.Errorf("kv: max value is %d bytes: 1 to %d is allowed", c.MaxValue, maxMaxValue)
	case c.Timeout < 0 || c.MaxOps < 1 || c.MaxPending < c.largestWrite():
		return fmt.Errorf("kv: timeout %s, max ops %d and max pending %d must be positive, the last at least %d, which is a write of max value %d",
			c.Timeout, c.MaxOps, c.MaxPending, c.largestWrite(), c.MaxValue)
	}
	return nil
}

// largestWrite is what the largest write takes of MaxPending.
func (c Config) largestWrite() int {
	return recordBytes(&store.Record{}) + MaxKey + c.MaxValue + maxType + requestIDLen + 1
}

// slotOf returns the slot of an identifier: its top bits.
func (c Config) slotOf(id dht.ID) uint32 {
	return uint32(id.Shr(c.Space.Width() - c.slotBits()).Lo())
}

// first returns the first identifier of a slot, which places it in the overlay.
func (c Config) first(slot uint32) dht.ID {
	return dht.NewID(0, uint64(slot)).Shl(c.Space.Width() - c.slotBits())
}

func (c Config) slotBits() uint { return uint(bits.TrailingZeros(uint(c.Slots))) }
