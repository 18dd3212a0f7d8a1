package main

import "math/bits"

// Bounds on what a world can hold. A scope stays below them.
const (
	maxNodes     = 4
	maxWrites    = 3
	maxKeys      = 2
	maxEpochs    = 4
	maxProposals = 4
)

// set is a set of nodes.
type set uint8

func (s set) has(n int) bool     { return s>>n&1 == 1 }
func (s set) with(n int) set     { return s | 1<<n }
func (s set) count() int         { return bits.OnesCount8(uint8(s)) }
func (s set) majority() int      { return s.count()/2 + 1 }
func (s set) carries(c set) bool { return (s & c).count() >= c.majority() } // a majority of c

// value is a configuration: kv's type of that name. Zero is none.
type value uint16

func newValue(epoch uint8, members set, primary int, cut uint8) value {
	return value(epoch) | value(members)<<3 | value(primary)<<7 | value(cut)<<9
}

func (v value) epoch() uint8 { return uint8(v & 7) }
func (v value) members() set { return set(v >> 3 & 15) }
func (v value) primary() int { return int(v >> 7 & 3) }
func (v value) cut() uint8   { return uint8(v >> 9) }

// sequence is a log: the write at each version, from 1. Zero is a gap.
type sequence [maxWrites + 1]uint8

// durable is what a node keeps on its disk for the slot: kv's type state, and the log.
type durable struct {
	cfg, next, acc value
	prom, accAt    uint8 // ballots, for the end of cfg
	last           uint8 // the end of the log (while dirty: base)
	com, tag, base uint8
	dirty          bool
	rotten         uint8 // the version of a record that cannot be read
	log            sequence
}

// newest is the latest decided configuration known here.
func (d *durable) newest() value {
	if d.next != 0 {
		return d.next
	}
	return d.cfg
}

func (d *durable) holds(epoch, c uint8) bool {
	return !d.dirty && (d.tag == epoch && d.last >= c || d.tag == epoch+1)
}

// truncate drops what the log has above to.
func (d *durable) truncate(to uint8) {
	for s := int(to) + 1; s <= maxWrites; s++ {
		d.log[s] = 0
	}
	if d.rotten > to {
		d.rotten = 0
	}
}

// node is a node: what it has applied, what of that a power cut leaves, and what any
// crash takes.
type node struct {
	mem, disk durable

	lead    bool // serves cfg's epoch as its primary, unless that is ending
	acked   [maxNodes]uint8
	corrupt bool     // knows that a record is rotten
	window  uint8    // as primary: it knows the requests of all versions above
	kept    sequence // and, in a wrong variant, of some that were cut off
	copy    page     // a copy of which a part has been received
	asked   set      // by the sweep: said that they are active
}

// page is the rest of a copy that is on its way, read from one snapshot.
type page struct {
	epoch, to, com uint8
	log            sequence
}

// phase is how far a proposer has come.
type phase uint8

const (
	preparing phase = iota
	staging         // the cut and the members are chosen
	accepting       // the value is chosen, and sent
)

// proposal is an attempt to end an epoch, and the messages that belong to it.
type proposal struct {
	epoch, ballot uint8
	node          uint8
	alive         bool // the proposer goes on with it
	phase         phase
	promised      set
	cut           uint8 // the longest prefix promised
	have          set   // who holds it, as far as the proposer knows
	best          uint8 // the highest ballot of a value among the promises
	value         value // that one; later the one proposed
	accepted      set
}

// read is a read at a primary: what it must return at least, and who has confirmed.
type read struct {
	on    bool
	node  uint8
	floor [maxKeys]uint8
	ok    set
}

// world is one state: of all nodes, of the network (what was sent can arrive at any
// time, any number of times, or never) and of the observer who knows what was said.
type world struct {
	nodes     [maxNodes]node
	proposals [maxProposals]proposal // by epoch and ballot; epoch 0 where there is none
	read      read

	seq       [maxEpochs + 1]sequence // what each epoch's primary has numbered: and sent
	numbered  [maxEpochs + 1]uint8    // how many
	told      [maxEpochs + 1]uint8    // what it has said to be committed
	decided   [maxEpochs + 1]value    // accepted by a majority
	announced [maxEpochs + 1]value    // and told: any node may hear of it

	committed sequence       // what was ever committed
	stamp     sequence       // for each write, how much was when it was sent first
	floor     [maxKeys]uint8 // the version of each key that clients have seen
	used      budget
	wrong     offence // noticed while a step was taken
}

// budget counts what a scope bounds.
type budget struct{ writes, retries, proposals, crashes, reads, rots uint8 }

// offence is a promise to clients that a step has broken.
type offence uint8

const (
	_ offence = iota
	twoDecisions
	twoCommits
	cutTooShort
	beyondCut
	staleRead
	uncommittedRead
	appliedTwice
	answeredWrongly
)

func (o offence) String() string {
	return [...]string{
		"", "two values were decided for one epoch", "two writes were committed under one version",
		"a configuration cuts off what was committed", "a write beyond the cut was committed",
		"a read did not return what was acknowledged or read before", "a read returned what was not committed",
		"a write was applied twice", "a write was answered as applied that was not",
	}[o]
}

// newestDecided is the last link of the chain.
func (w *world) newestDecided() value {
	for e := maxEpochs; ; e-- {
		if w.decided[e] != 0 {
			return w.decided[e]
		}
	}
}

// commit notes that the sequence of epoch up to c is committed.
func (w *world) commit(epoch, c uint8) {
	if next := epoch + 1; next <= maxEpochs && w.decided[next] != 0 && c > w.decided[next].cut() {
		w.wrong = beyondCut
	}
	for s := uint8(1); s <= c; s++ {
		if w.committed[s] == 0 {
			w.committed[s] = w.seq[epoch][s]
		}
		if w.committed[s] != w.seq[epoch][s] {
			w.wrong = twoCommits
		}
		for t := uint8(1); t < s; t++ {
			if w.committed[t] == w.committed[s] {
				w.wrong = appliedTwice
			}
		}
	}
}

// decide notes that v was accepted by a majority.
func (w *world) decide(v value) {
	e := v.epoch()
	if w.decided[e] != 0 {
		if w.decided[e] != v {
			w.wrong = twoDecisions
		}
		return
	}
	w.decided[e] = v
	if v.cut() < maxWrites && w.committed[v.cut()+1] != 0 {
		w.wrong = cutTooShort
	}
	w.commit(e-1, v.cut())
	w.seq[e], w.numbered[e], w.told[e] = w.seq[e-1], v.cut(), v.cut()
	for s := int(v.cut()) + 1; s <= maxWrites; s++ {
		w.seq[e][s] = 0
	}
}
