package simnet

import (
	"fmt"
	"time"
)

type traceKind uint8

const (
	started traceKind = iota + 1
	crashed
	stopped
	request
	response
	timeout
	lost
	tick
	cut
)

var traceNames = [...]string{
	started: "start", crashed: "crash", stopped: "stop", request: "request",
	response: "response", timeout: "timeout", lost: "unanswered", tick: "tick", cut: "cut",
}

// TraceHash is a digest of all that has happened: what, when, between whom. Equal
// hashes mean equal runs.
func (n *Net) TraceHash() uint64 { return finish(n.hash) }

// note adds to the trace.
func (n *Net) note(what traceKind, a, b *Node, name string, code uint16) {
	var to uint32
	if b != nil {
		to = b.ref
	}
	h := n.hash ^ uint64(n.now)
	h = (h ^ h>>29) * 0xbf58476d1ce4e5b9
	h ^= uint64(a.ref)<<32 | uint64(to)
	h = (h ^ h>>32) * 0x94d049bb133111eb
	h ^= uint64(what)<<16 | uint64(code)
	n.hash = h ^ h>>31
	if n.cfg.Trace != nil {
		n.line(what, a, b, name, code)
	}
}

func (n *Net) line(what traceKind, a, b *Node, name string, code uint16) {
	at := time.Duration(n.now)
	switch {
	case b != nil:
		fmt.Fprintf(n.cfg.Trace, "%v %s %s %s > %s\n", at, traceNames[what], n.kindOf(code).Name, a, b)
	case name != "":
		fmt.Fprintf(n.cfg.Trace, "%v %s %s %s\n", at, traceNames[what], name, a)
	default:
		fmt.Fprintf(n.cfg.Trace, "%v %s %s\n", at, traceNames[what], a)
	}
}
