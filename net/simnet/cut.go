package simnet

import (
	"cmp"
	"slices"
	"time"

	"dyschord/dht"
)

// How long a node finds another one unreachable after a cut: as long as a host backs
// off before it connects again.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 4 * time.Second
)

// errCut is what a request ends with that was under way when its connection was
// lost: it may have been carried out.
var errCut = &dht.Error{Code: dht.ErrTimeout.Code, Text: "no answer: the connection was lost after the request was sent"}

// Cut loses the connection between two nodes, as a reset does. All requests between
// them that are under way end at once with ErrTimeout; those that would have arrived
// soonest are carried out all the same, up to a drawn moment. For 100 ms to 4 s,
// drawn for each of the two, further requests to the other end at once with
// ErrUnreachable.
func (n *Net) Cut(a, b *Node) {
	n.sever(a, b)
	n.backOff(a, b, minBackoff+n.draw(maxBackoff-minBackoff))
	n.backOff(b, a, minBackoff+n.draw(maxBackoff-minBackoff))
}

// CutFor is [Net.Cut] after which each of the two finds the other unreachable for d.
func (n *Net) CutFor(a, b *Node, d time.Duration) {
	n.sever(a, b)
	n.backOff(a, b, d)
	n.backOff(b, a, d)
}

// sever ends what is under way between a and b. It looks through the whole queue:
// each request that has not ended has an event there.
func (n *Net) sever(a, b *Node) {
	n.stats.Cuts++
	var reach [2]int64 // what arrives later from a, from b, is lost
	reach[0] = n.after(n.draw(n.cfg.Latency.Delay(a, b)))
	reach[1] = n.after(n.draw(n.cfg.Latency.Delay(b, a)))
	var hit []event
	for _, ev := range n.queue.events {
		if r := ev.request(); r != nil && r.between(a, b) {
			from := 0
			if r.env.node == b {
				from = 1
			}
			if ev.at > reach[from] {
				ev.drop()
			}
			if !r.severed {
				r.severed = true
				hit = append(hit, event{ev.at, ev.seq, (*severed)(r)})
			}
		}
	}
	for _, h := range n.held {
		if r := (&event{act: h.act}).request(); r != nil && r.between(a, b) {
			(&event{act: h.act}).drop()
		}
	}
	slices.SortFunc(hit, func(x, y event) int { return cmp.Compare(x.seq, y.seq) })
	for _, ev := range hit {
		if !ev.act.off(0) {
			n.queue.push(n.now, ev.act)
		}
	}
}

// request is the request an event belongs to; nil if to none.
func (e *event) request() *rpc {
	switch x := e.act.(type) {
	case *rpc:
		return x
	case *expiry:
		return (*rpc)(x)
	case *copied:
		return x.rpc
	}
	return nil
}

// drop lets the request, if its arrival is the event, not arrive.
func (e *event) drop() {
	switch x := e.act.(type) {
	case *rpc:
		x.dropped = true
	case *copied:
		x.dropped = true
	}
}

// between says whether r is a request of one of the two to the other.
func (r *rpc) between(a, b *Node) bool {
	caller, target := r.env.node, r.env.net.nodes[r.to.Ref-1]
	return caller == a && target == b || caller == b && target == a
}

// severed is an rpc as the event of the loss of its connection.
type severed rpc

func (x *severed) off(uint64) bool { return x.done || x.env.dead }

func (x *severed) fire(uint64) {
	r := (*rpc)(x)
	e := r.env
	if later, paused := e.net.paused(e.node); paused {
		e.net.queue.push(later, x)
		return
	}
	e.net.note(cut, e.node, e.net.nodes[r.to.Ref-1], "", r.req.Code())
	e.inFlight--
	r.from = 0
	r.end(nil, errCut)
}

// backOff lets from's requests to the other end at once for d.
func (n *Net) backOff(from, to *Node, d time.Duration) {
	if n.backoffs == nil {
		n.backoffs = map[uint64]int64{}
	}
	for pair, until := range n.backoffs {
		if until <= n.now {
			delete(n.backoffs, pair)
		}
	}
	n.backoffs[pairOf(from, to)] = n.after(d)
}

// backingOff says whether from does not even try to reach the other.
func (n *Net) backingOff(from, to *Node) bool {
	return len(n.backoffs) > 0 && n.backoffs[pairOf(from, to)] > n.now
}

func pairOf(from, to *Node) uint64 { return uint64(from.ref)<<32 | uint64(to.ref) }

// cutSometimes draws whether the connection of a request is lost while it is under
// way, or its reply.
func (n *Net) cutSometimes(from, to *Node) {
	if f := n.faults.Cut; f > 0 && n.rand.Float64() < f {
		n.After(n.draw(2*n.cfg.Latency.Delay(from, to)), func() { n.Cut(from, to) })
	}
}
