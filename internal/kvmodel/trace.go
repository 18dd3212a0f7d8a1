package main

import (
	"fmt"
	"io"
	"strings"
)

// kind is what happens in a step.
type kind uint8

const (
	wrote kind = iota
	wroteAgain
	foundAgain
	appended
	indexed
	told
	committed
	proposed
	promised
	promiseLost
	adopted
	chose
	staged
	sentAccept
	accepted
	announced
	learnt
	rebased
	copied
	copiedIndexed
	copiedPart
	copyEnded
	abandoned
	installed
	installedLater
	answered
	dropped
	readBegan
	confirmed
	answeredRead
	synced
	crashed
	crashedLate
	rotted
	noticed
	kinds
)

// sentences are the steps in words: {n} the node, {p} the other one, {w} the write,
// {v} the version, {e} the epoch, {b} the ballot, {c} the configuration.
var sentences = [kinds]string{
	wrote:          "{n} numbers write {w}: version {v}",
	wroteAgain:     "{n} knows nothing of write {w}, which arrives again, and numbers it: version {v}",
	foundAgain:     "{n} finds write {w}, which arrives again, under version {v}, and answers",
	appended:       "{n} appends what the primary of epoch {e} sent, up to version {v}",
	indexed:        "{n} moves its index to version {v}",
	told:           "{n} tells {p} that it has epoch {e} up to version {v}",
	committed:      "{n} counts a majority: version {v} is committed, clients are answered",
	proposed:       "{n} proposes to end epoch {e} at ballot {b}, and is frozen",
	promised:       "{n} promises {p} ballot {b}, with a log up to version {v}",
	promiseLost:    "{n} promises ballot {b}, and nobody hears it",
	adopted:        "{n} finds {c} among the promises and proposes it again at ballot {b}",
	chose:          "{n} has a majority for ballot {b} and wants {c}",
	staged:         "{n} says to {p} that it holds epoch {e} up to version {v}",
	sentAccept:     "{n} accepts {c} at ballot {b} and asks the others to",
	accepted:       "{n} accepts {c} at ballot {b}",
	announced:      "{n} counts a majority: {c} is decided",
	learnt:         "{n} hears of {c}",
	rebased:        "{n} drops what it has above version {v}, for a copy of epoch {e}",
	copied:         "{n} copies epoch {e} up to version {v} from {p}",
	copiedIndexed:  "{n} copies epoch {e} up to version {v} from {p}, and its index moves",
	copiedPart:     "{n} receives a part of a copy of epoch {e} from {p}: version {v}",
	copyEnded:      "{n} receives the rest of the copy of epoch {e}, up to version {v}",
	abandoned:      "{n} gives up a copy that was not finished",
	installed:      "{n} installs {c}",
	installedLater: "{n} installs {c}, and never an epoch before it",
	answered:       "{n} tells {p}, which would drop its copy, that epoch {e} is in force",
	dropped:        "{n} drops its copy: epoch {e} is in force without it",
	readBegan:      "a read begins at {n}",
	confirmed:      "{n} confirms epoch {e} to {p}",
	answeredRead:   "{n} answers the read from its index at version {v}",
	synced:         "what {n} has written so far is on its disk",
	crashed:        "{n} crashes, loses what it had not waited for, and comes back",
	crashedLate:    "{n} crashes, and comes back with all it had written",
	rotted:         "at {n} the record of version {v} rots",
	noticed:        "{n} notices that version {v} is corrupt",
}

// step is what happened from one world to the next.
type step struct {
	kind           kind
	node, peer     int
	epoch, version uint8
	ballot, write  uint8
	value          value
}

func (s step) String() string {
	return strings.NewReplacer(
		"{n}", name(s.node), "{p}", name(s.peer), "{e}", fmt.Sprint(s.epoch), "{v}", fmt.Sprint(s.version),
		"{b}", fmt.Sprint(s.ballot), "{w}", fmt.Sprint(s.write), "{c}", s.value.String(),
	).Replace(sentences[s.kind])
}

func name(n int) string { return string(rune('A' + n)) }

func (s set) String() string {
	var b strings.Builder
	for n := range 8 {
		if s.has(n) {
			b.WriteString(name(n))
		}
	}
	return b.String()
}

// String is like "C2(ABC, primary B, cut 1)".
func (v value) String() string {
	return fmt.Sprintf("C%d(%v, primary %s, cut %d)", v.epoch(), v.members(), name(v.primary()), v.cut())
}

// String shows the log, e.g. "[1.3] com 2 of epoch 1": write 1, a gap, write 3.
func (d *durable) String() string {
	var b strings.Builder
	b.WriteByte('[')
	for s := uint8(1); s <= d.last; s++ {
		if d.log[s] == 0 {
			b.WriteByte('.')
		} else {
			fmt.Fprint(&b, d.log[s])
		}
	}
	fmt.Fprintf(&b, "] of epoch %d, index at %d", d.tag, d.com)
	if d.cfg != 0 {
		fmt.Fprintf(&b, "; in %v", d.cfg)
	}
	if d.prom != 0 {
		fmt.Fprintf(&b, ", promised %d", d.prom)
	}
	if d.accAt != 0 {
		fmt.Fprintf(&b, ", accepted %v at %d", d.acc, d.accAt)
	}
	if d.next != 0 {
		fmt.Fprintf(&b, ", next %v", d.next)
	}
	if d.dirty {
		fmt.Fprintf(&b, ", dirty above %d", d.base)
	}
	if d.rotten != 0 {
		fmt.Fprintf(&b, ", version %d corrupt", d.rotten)
	}
	return b.String()
}

// tell writes a counterexample: its steps, and what the nodes have at the end.
func tell(out io.Writer, m *model, res outcome[world]) {
	for i, mv := range res.trace {
		fmt.Fprintf(out, "%4d. %v\n", i+1, mv.step)
	}
	fmt.Fprintf(out, "then: %s\n", res.broken)
	if len(res.trace) == 0 {
		return
	}
	last := &res.trace[len(res.trace)-1].after
	for n := range m.nodes {
		nd := &last.nodes[n]
		fmt.Fprintf(out, "      %s  %v", name(n), &nd.mem)
		if nd.lead {
			fmt.Fprint(out, "; serves")
		}
		if nd.mem != nd.disk {
			fmt.Fprintf(out, "\n         on disk %v", &nd.disk)
		}
		fmt.Fprintln(out)
	}
}
