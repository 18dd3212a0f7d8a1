package simnet

import (
	"time"

	"dyschord/dht"
)

// rpc is one request from Start to its end: first an event at the receiver, then
// the reply. It is the dht.Reply the handler gets as well.
type rpc struct {
	env     *env     // the caller
	set     *callSet // that it was started in
	next    *rpc     // in set's list of ended requests
	to      dht.Peer
	server  *env // that answers; nil until delivered
	req     dht.Message
	msg     dht.Message
	err     error
	sealed  *sealed // the message under way as it was sent, if messages are checked
	start   int64
	rtt     int64
	limit   int64  // when the caller gives up
	timeout uint64 // the event of that; 0 if none is queued
	waits   dht.Waits
	local   bool   // to the caller itself: no network between
	from    uint32 // the incarnation that answered; 0 if none did
	replied bool   // Send was called
	kept    bool   // the handler returned without a reply
	lost    bool   // request or reply: only a time-out ends it
	refused bool   // by the host, since nobody ran there
	severed bool   // its connection was lost: a reply reaches nobody
	dropped bool   // with the request still on it: that does not arrive
	copied  bool   // the request arrives twice
	arrived bool   // the reply came while it was awaited
	done    bool   // the caller has its result
}

// transmit puts the request on the network: not at all, once or twice.
func (n *Net) transmit(r *rpc, target *Node, code uint16) {
	n.stats.Requests++
	n.post(n.kindOf(code), r.req)
	n.cutSometimes(r.env.node, target)
	at, ok := n.travel(r.env.node, target)
	if !ok {
		r.lose()
		return
	}
	n.deliver(at, r, r.env.node, target)
	if at >= r.limit {
		r.expire()
	}
	if twice, ok := n.again(r.env.node, target); ok {
		r.copied = true
		n.deliver(twice, &copied{rpc: r, sealed: r.sealed}, r.env.node, target)
	}
}

// lose notes that nothing will come but the time-out.
func (r *rpc) lose() {
	r.lost = true
	r.expire()
}

// expire queues the time-out, once.
func (r *rpc) expire() {
	if r.timeout == 0 && !r.done {
		r.timeout = r.env.net.queue.push(max(r.look(), r.env.net.now), (*expiry)(r))
	}
}

// look is when the caller next considers to give up: at the limit, and before it,
// if the request waits for other nodes, whenever it would notice that the
// connection was lost.
func (r *rpc) look() int64 {
	if r.waits != dht.Network {
		return r.limit
	}
	return min(r.limit, r.env.net.after(r.env.net.cfg.Notice))
}

// hopeless says whether a caller that looks after its connection would give up.
func (r *rpc) hopeless() bool {
	return r.lost || r.env.net.now >= r.limit || r.server != nil && r.server.dead || r.cut()
}

// cut says whether the connection is closed in either direction.
func (r *rpc) cut() bool {
	n, caller := r.env.net, r.env.node
	target := n.nodes[r.to.Ref-1]
	return n.link != nil && (!n.link(caller, target) || !n.link(target, caller))
}

func (r *rpc) off(uint64) bool { return false }

// fire is the arrival of the request, and later that of the reply.
func (r *rpc) fire(uint64) {
	if r.replied {
		r.arrive()
		return
	}
	if r.dropped {
		return
	}
	n := r.env.net
	target := n.nodes[r.to.Ref-1]
	if later, paused := n.paused(target); paused {
		n.queue.push(later, r)
		if later >= r.limit {
			r.expire()
		}
		return
	}
	r.server = target.env // nil if it does not run
	if n.accept(r, r.sealed, r) && !r.replied {
		r.keep()
	}
}

// arrive is the reply at the caller: its result, or late, which still teaches.
func (r *rpc) arrive() {
	e := r.env
	if e.dead || r.severed {
		return
	}
	if later, paused := e.net.paused(e.node); paused {
		e.net.queue.push(later, r)
		return
	}
	if r.waits == dht.Never && !r.local && !r.refused {
		e.rto.Learn(r.to.Ref, time.Duration(e.net.now-r.start))
	}
	if r.done {
		e.net.stats.Late++
		return
	}
	e.net.note(response, e.net.nodes[r.to.Ref-1], e.node, "", r.req.Code())
	e.inFlight--
	r.arrived = true
	r.end(e.net.unseal(r.msg, r.sealed), r.err)
}

// expiry is an rpc as the event of its time-out.
type expiry rpc

func (x *expiry) off(uint64) bool { return x.done || x.env.dead }

func (x *expiry) fire(uint64) {
	r := (*rpc)(x)
	e := r.env
	if later, paused := e.net.paused(e.node); paused {
		r.timeout = e.net.queue.push(later, x)
		return
	}
	if !r.hopeless() {
		r.timeout = e.net.queue.push(r.look(), x)
		return
	}
	e.net.note(timeout, e.node, e.net.nodes[r.to.Ref-1], "", r.req.Code())
	e.net.kindOf(r.req.Code()).timeouts++
	e.rto.GiveUp(r.to.Ref)
	e.inFlight--
	r.from, r.timeout = 0, 0
	r.end(nil, dht.ErrTimeout)
}

// end gives the caller its result.
func (r *rpc) end(msg dht.Message, err error) {
	r.done = true
	if r.timeout != 0 {
		r.env.net.queue.calledOff()
	}
	r.msg, r.err, r.rtt = msg, err, r.env.net.now-r.start
	s := r.set
	if s.closed {
		return
	}
	if s.last == nil {
		s.first = r
	} else {
		s.last.next = r
	}
	s.last = r
	if s.waiter != nil {
		s.waiter.wake(nil)
	}
}

func (r *rpc) result() dht.Result {
	res := dht.Result{To: r.to, Req: r.req, Msg: r.msg, RTT: time.Duration(r.rtt), Err: r.err}
	if r.from != 0 {
		res.From = r.env.net.nodes[r.to.Ref-1].self(r.from)
	}
	return res
}
