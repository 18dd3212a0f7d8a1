package rto

import (
	"fmt"
	"time"

	"dyschord/dht"
)

// Config sets the bounds of time-outs. The zero value is usable.
type Config struct {
	// Initial is the time-out before anything was measured. Default 1 s.
	Initial time.Duration
	// Margin is added to the smoothed round trip where four deviations are less, so
	// that a steady peer is not given up for one late scheduling. Default 200 ms.
	Margin time.Duration
	// Max caps the adaptive part. Default 4 s.
	Max time.Duration
	// Disk is the allowance for a commit to disk at the peer. Default 3 s.
	Disk time.Duration
	// Ceiling ends a request whose handler waits for other nodes, if nothing else has
	// ended it. Default 1 min.
	Ceiling time.Duration
}

// WithDefaults returns c with its zero fields filled in.
func (c Config) WithDefaults() Config {
	fill(&c.Initial, time.Second)
	fill(&c.Margin, 200*time.Millisecond)
	fill(&c.Max, 4*time.Second)
	fill(&c.Disk, 3*time.Second)
	fill(&c.Ceiling, time.Minute)
	return c
}

func fill(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// Validate says what is wrong with c, defaults applied, if anything.
func (c Config) Validate() error {
	c = c.WithDefaults()
	for _, f := range []struct {
		name  string
		value time.Duration
	}{{"Initial", c.Initial}, {"Margin", c.Margin}, {"Max", c.Max}, {"Disk", c.Disk}, {"Ceiling", c.Ceiling}} {
		if f.value < 0 {
			return fmt.Errorf("time-out %s is %v: 0 (the default) and more is allowed", f.name, f.value)
		}
	}
	return nil
}

// Table holds one node's estimates. The zero Table knows nothing.
type Table struct {
	all   entry   // every sample, for peers that are not in the table
	peers []entry // direct-mapped by Ref; grows to maxPeers, then entries displace each other
}

const (
	minPeers = 8
	maxPeers = 32
	unit     = 250 * time.Microsecond // of the times in an entry: up to 16 s
)

// entry is an estimate, in eight bytes: a large simulation has dozens per node. ref
// 0 marks an empty one.
type entry struct {
	ref  uint32
	srtt uint16 // smoothed round trip, in units; 0 before it has answered
	rest uint16 // deviation in units, up to 2 s, and in the low bits the backoff
}

const (
	backoffBits = 3
	maxBackoff  = 6
	maxDev      = 1<<(16-backoffBits) - 1
)

func (e *entry) dev() uint32 { return uint32(e.rest >> backoffBits) }

// backoff counts the doublings since the last answer.
func (e *entry) backoff() uint16 { return e.rest & (1<<backoffBits - 1) }

// Timeout is how long to wait for an answer of that peer to a request whose
// handler waits as w says.
func (t *Table) Timeout(c *Config, ref uint32, w dht.Waits) time.Duration {
	switch w {
	case dht.Network:
		return c.Ceiling
	case dht.Disk:
		return t.adaptive(c, ref) + c.Disk
	default:
		return t.adaptive(c, ref)
	}
}

func (t *Table) adaptive(c *Config, ref uint32) time.Duration {
	e, backoff := &t.all, uint16(0)
	if own := t.find(ref); own != nil {
		backoff = own.backoff()
		if own.srtt > 0 {
			e = own
		}
	}
	d := c.Initial
	if e.srtt > 0 {
		d = time.Duration(e.srtt)*unit + max(c.Margin, 4*time.Duration(e.dev())*unit)
	}
	return min(d<<backoff, c.Max)
}

// Learn takes a measured round trip of an answer that waited for nothing.
func (t *Table) Learn(ref uint32, rtt time.Duration) {
	sample := uint16(min(max(rtt/unit, 1), 1<<16-1))
	t.all.learn(sample)
	t.place(ref).learn(sample)
}

// GiveUp notes that a request to that peer timed out. A stranger for which the others'
// round trips served is waited for longer the next time too: it may be farther away.
func (t *Table) GiveUp(ref uint32) {
	if t.all.srtt == 0 {
		return
	}
	if e := t.place(ref); e.backoff() < maxBackoff {
		e.rest++
	}
}

// learn takes a sample in and ends the backoff.
func (e *entry) learn(sample uint16) {
	if e.srtt == 0 {
		e.srtt, e.rest = sample, min(sample/2, maxDev)<<backoffBits
		return
	}
	off := int32(sample) - int32(e.srtt)
	e.srtt = uint16(int32(e.srtt) + (off+signOf(off)*4)/8)
	dev := (3*e.dev() + uint32(max(off, -off)) + 2) / 4
	e.rest = uint16(min(dev, maxDev)) << backoffBits
}

// signOf makes the division by 8 round half away from zero.
func signOf(v int32) int32 {
	if v < 0 {
		return -1
	}
	return 1
}

func (t *Table) slot(ref uint32) *entry {
	return &t.peers[(ref*2654435761)>>16&uint32(len(t.peers)-1)]
}

func (t *Table) find(ref uint32) *entry {
	if len(t.peers) == 0 {
		return nil
	}
	if e := t.slot(ref); e.ref == ref {
		return e
	}
	return nil
}

// place finds ref's entry or makes room for it.
func (t *Table) place(ref uint32) *entry {
	if len(t.peers) == 0 {
		t.peers = make([]entry, minPeers)
	}
	for e := t.slot(ref); e.ref != ref && e.ref != 0 && len(t.peers) < maxPeers; e = t.slot(ref) {
		t.grow()
	}
	e := t.slot(ref)
	if e.ref != ref {
		*e = entry{ref: ref}
	}
	return e
}

func (t *Table) grow() {
	old := t.peers
	t.peers = make([]entry, 2*len(old))
	for _, e := range old {
		if e.ref != 0 {
			*t.slot(e.ref) = e
		}
	}
}
