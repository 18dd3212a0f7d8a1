package simnet

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"dyschord/dht"
	"dyschord/internal/rto"
)

// Config describes a simulated world. The zero value is usable: 128-bit
// identifiers, 10 to 50 ms between any two nodes, 1 ms disks, no faults.
type Config struct {
	// Seed decides everything that is random. Equal seeds give equal traces.
	Seed uint64
	// Space is the identifier space of the nodes.
	Space dht.Space
	// Latency is the one-way delay between nodes. Default Uniform{10 ms, 50 ms}.
	Latency Latency
	// Disk is how long Block takes at a node. Default 1 ms everywhere.
	Disk func(*Node) time.Duration
	// Faults are in force from the start; Net.SetFaults changes them.
	Faults Faults
	// Timeouts bounds the adaptive time-outs of requests. The zero value is usable.
	Timeouts rto.Config
	// InFlight is the most requests a node may have under way: further ones end with
	// ErrBusy. Default 4,096.
	InFlight int
	// Owed is the most replies a node may owe one peer, that its handlers have kept:
	// further requests are answered with ErrBusy. Default 1,024.
	Owed int
	// Notice is how long a caller takes to see that the connection is lost over which
	// it awaits a reply of Waits Network. Default 10 s.
	Notice time.Duration
	// Refuse lets the host of a crashed process refuse requests at once, which end
	// with ErrUnreachable after a round trip. By default hosts crash with their
	// process and stay silent, which only a time-out tells.
	Refuse bool
	// Bytes is how many bytes messages take, as package wire encodes them: counted for
	// one message in this many of each kind, and scaled. 1 counts each and costs about
	// half the speed. Default 0: not at all.
	Bytes int
	// Identifiers counts the identifiers that messages carry, by the rule of package
	// wire, for comparisons with systems that state their traffic so. It costs about a
	// tenth of the speed.
	Identifiers bool
	// CheckCodec sends each message over the wire's codec, and panics where it does
	// not come out as it went in, is too long, or was changed after it was sent.
	CheckCodec bool
	// Events receives what nodes emit. It must not block.
	Events func(*Node, dht.Event)
	// Log receives what nodes log, with the node and the virtual time. nil is nowhere.
	Log slog.Handler
	// Trace receives a line for each event. nil is nowhere. It costs most of the speed.
	Trace io.Writer
	// Watchdog is how much real time may pass within one event before the program
	// ends with all stacks: an activity must be waiting for something real. Default
	// 1 min, negative for never.
	Watchdog time.Duration
}

// Faults are what goes wrong at random: what the network does to each message, and
// what a machine does to its activities. All probabilities are 0 to 1.
type Faults struct {
	// Loss is the probability that a message is lost.
	Loss float64
	// Duplicate is the probability that a request is delivered twice.
	Duplicate float64
	// Jitter is added to the latency, uniformly from 0. Messages between two nodes
	// keep their order.
	Jitter time.Duration
	// Reorder is the probability that a message is exempt from that order: it is
	// late by up to ReorderBy, and later ones overtake it.
	Reorder float64
	// ReorderBy defaults to 1 s where Reorder is set.
	ReorderBy time.Duration
	// Cut is the probability that the connection of a request is lost while it or its
	// reply is under way, with all that is on it: see Net.Cut.
	Cut float64
	// Late is the probability that an activity does not run on at once when its wait
	// is over, but up to LateBy later: handlers, timers and other activities, of the
	// same node too, come before it, as they may where they compete for processors and
	// the node's lock. Activities that are ready then also run in any order, but for
	// the promised one: what one activity starts begins in that order.
	Late float64
	// LateBy defaults to 5 ms where Late is set.
	LateBy time.Duration
	// DiskJitter is added to the disk latency, uniformly from 0.
	DiskJitter time.Duration
}

func (c Config) withDefaults() Config {
	if c.Latency == nil {
		c.Latency = Uniform{10 * time.Millisecond, 50 * time.Millisecond}
	}
	if c.Disk == nil {
		c.Disk = func(*Node) time.Duration { return time.Millisecond }
	}
	if c.InFlight == 0 {
		c.InFlight = 4096
	}
	if c.Owed == 0 {
		c.Owed = 1024
	}
	if c.Notice == 0 {
		c.Notice = 10 * time.Second
	}
	if c.Watchdog == 0 {
		c.Watchdog = time.Minute
	}
	c.Timeouts = c.Timeouts.WithDefaults()
	c.Faults = c.Faults.withDefaults()
	return c
}

// Validate says what is wrong with c, if anything. New panics with the same error.
func (c Config) Validate() error {
	err := errors.Join(c.Space.Validate(), c.Timeouts.Validate(), c.Faults.Validate())
	if c.InFlight < 0 || c.Owed < 0 || c.Notice < 0 || c.Bytes < 0 {
		err = errors.Join(err, fmt.Errorf("InFlight %d, Owed %d, Notice %v, Bytes %d: 0 (the default) and more is allowed", c.InFlight, c.Owed, c.Notice, c.Bytes))
	}
	if err != nil {
		return fmt.Errorf("simnet: %w", err)
	}
	return nil
}

func (f Faults) withDefaults() Faults {
	if f.Reorder > 0 && f.ReorderBy == 0 {
		f.ReorderBy = time.Second
	}
	if f.Late > 0 && f.LateBy == 0 {
		f.LateBy = 5 * time.Millisecond
	}
	return f
}

// Validate says what is wrong with f, if anything.
func (f Faults) Validate() error {
	for _, p := range []struct {
		name  string
		value float64
	}{{"Loss", f.Loss}, {"Duplicate", f.Duplicate}, {"Reorder", f.Reorder}, {"Cut", f.Cut}, {"Late", f.Late}} {
		if !(p.value >= 0 && p.value <= 1) {
			return fmt.Errorf("fault %s is %v: a probability of 0 to 1 is allowed", p.name, p.value)
		}
	}
	if f.Jitter < 0 || f.ReorderBy < 0 || f.LateBy < 0 || f.DiskJitter < 0 {
		return fmt.Errorf("faults Jitter %v, ReorderBy %v, LateBy %v and DiskJitter %v: 0 and more is allowed", f.Jitter, f.ReorderBy, f.LateBy, f.DiskJitter)
	}
	return nil
}
