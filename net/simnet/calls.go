package simnet

import (
	"context"
	"time"

	"dyschord/dht"
)

// callSet is a set of requests in flight.
type callSet struct {
	env         *env
	pending     int
	waiter      *coro
	first, last *rpc // ended, not yet returned by Next
	closed      bool
}

// Calls opens an empty set.
func (e *env) Calls() dht.Calls { return &callSet{env: e} }

// rpc is one request from Start to its end: first an event at the receiver, then
// the reply. It is the dht.Reply the handler gets as well.
type rpc struct {
	env     *env     // the caller
	set     *callSet // nil once it is abandoned
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
	done    bool   // the caller has its result
}

// Start sends req. The request, its duplicate and what the network does to them
// are drawn here, the reply's fate when it is sent.
func (s *callSet) Start(to dht.Peer, req dht.Message) {
	e := s.env
	if e.dead {
		return
	}
	if s.closed {
		panic("simnet: Start on Calls that were closed")
	}
	n := e.net
	s.pending++
	r := &rpc{env: e, set: s, to: to, req: req, start: n.now}
	target := n.Lookup(to.Ref)
	switch {
	case e.closing:
		r.end(nil, dht.ErrClosed)
		return
	case target == nil:
		r.end(nil, dht.ErrUnreachable)
		return
	case int(e.inFlight) >= n.cfg.InFlight:
		n.stats.Busy++
		r.end(nil, dht.ErrBusy)
		return
	}
	e.inFlight++
	code := req.Code()
	r.waits = n.kindOf(code).waits
	r.limit = n.after(e.rto.Timeout(&n.cfg.Timeouts, to.Ref, r.waits))
	r.sealed = n.seal(req)
	if target == e.node {
		r.local = true
		n.queue.push(n.now, r)
		return
	}
	n.transmit(r, target, code)
}

// transmit puts the request on the network: not at all, once or twice.
func (n *Net) transmit(r *rpc, target *Node, code uint16) {
	n.stats.Requests++
	n.post(n.kindOf(code), r.req)
	at, twice, ok := n.travel(r.env.node, target)
	if !ok {
		r.lose()
		return
	}
	n.deliver(at, r, r.env.node, target)
	if at >= r.limit {
		r.expire()
	}
	if twice > 0 {
		n.deliver(twice, &copied{r, r.sealed}, r.env.node, target)
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
	n := r.env.net
	target := n.nodes[r.to.Ref-1]
	return r.lost || n.now >= r.limit || r.server != nil && r.server.dead ||
		n.link != nil && !(n.link(r.env.node, target) && n.link(target, r.env.node))
}

// fire is the arrival of the request, and later that of the reply.
func (r *rpc) fire(uint64) {
	if r.replied {
		r.arrive()
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

// keep notes a reply that the handler owes.
func (r *rpc) keep() {
	s := r.server
	if s.owed == nil {
		s.owed = map[uint32]int32{}
	}
	s.owed[r.env.node.ref]++
	r.kept = true
	r.expire()
}

// settle takes a kept reply off the account.
func (r *rpc) settle() {
	r.kept = false
	caller := r.env.node.ref
	if r.server.owed[caller]--; r.server.owed[caller] == 0 {
		delete(r.server.owed, caller)
	}
}

// accept enters the handler for a request that has arrived, with the Reply to use.
// It returns false if nobody was there.
func (n *Net) accept(r *rpc, sealed *sealed, reply dht.Reply) bool {
	target := n.nodes[r.to.Ref-1]
	code := r.req.Code()
	e := target.env
	if e == nil || e.closing {
		n.note(lost, r.env.node, target, "", code)
		n.stats.Unanswered++
		n.refuse(r, target)
		return false
	}
	n.note(request, r.env.node, target, "", code)
	n.kindOf(code).delivered++
	req := n.unseal(r.req, sealed)
	service := e.service(code)
	if service == nil {
		reply.Send(nil, dht.ErrUnknownMessage)
		return true
	}
	if int(e.owed[r.env.node.ref]) >= n.cfg.Owed {
		n.stats.Busy++
		reply.Send(nil, dht.ErrBusy)
		return true
	}
	n.handling = e
	service.Handle(r.env.Self(), req, reply)
	n.handling = nil
	return true
}

// refuse is what a host does for a process that is not there.
func (n *Net) refuse(r *rpc, target *Node) {
	if !n.cfg.Refuse {
		r.lose()
		return
	}
	r.replied, r.refused = true, true
	r.back(target, nil, dht.ErrUnreachable)
}

// Send answers the request. The reply travels back and may be lost.
func (r *rpc) Send(m dht.Message, err error) {
	if r.replied {
		panic("simnet: Reply.Send was called twice")
	}
	if r.server == nil || r.server.dead {
		return
	}
	r.replied = true
	if r.kept {
		r.settle()
	}
	if !r.done {
		r.from = r.server.inc
	}
	m, err = outcome(m, err)
	r.back(r.server.node, m, err)
}

// outcome is what the caller will see: a coded error, or the message.
func outcome(m dht.Message, err error) (dht.Message, error) {
	if err != nil {
		return nil, dht.AsError(err)
	}
	if m == nil {
		panic("simnet: Reply.Send with neither a message nor an error")
	}
	return m, nil
}

// back lets the reply travel from the server to the caller.
func (r *rpc) back(server *Node, m dht.Message, err error) {
	n := r.env.net
	r.sealed = n.seal(m)
	if !r.done {
		r.msg, r.err = m, err
	}
	if r.local {
		n.queue.push(n.now, r)
		return
	}
	n.stats.Replies++
	if m != nil {
		n.post(n.kindOf(m.Code()), m)
	} else if !r.refused {
		n.postFailure(err)
	}
	at, _, ok := n.travel(server, r.env.node)
	if !ok {
		r.lose()
		return
	}
	n.deliver(at, r, server, r.env.node)
	if at >= r.limit {
		r.expire()
	}
}

// arrive is the reply at the caller: its result, or late, which still teaches.
func (r *rpc) arrive() {
	e := r.env
	if e.dead {
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
	r.end(e.net.unseal(r.msg, r.sealed), r.err)
}

// expiry is an rpc as the event of its time-out.
type expiry rpc

func (x *expiry) fire(uint64) {
	r := (*rpc)(x)
	e := r.env
	if r.done || e.dead {
		return
	}
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
	r.from = 0
	r.end(nil, dht.ErrTimeout)
}

// end gives the caller its result.
func (r *rpc) end(msg dht.Message, err error) {
	r.done = true
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

// copied is the second delivery of a request. Its reply reaches nobody: the caller
// has taken, or will take, the first one.
type copied struct {
	*rpc
	sealed *sealed
}

func (d *copied) fire(uint64) {
	n := d.env.net
	target := n.nodes[d.to.Ref-1]
	if later, paused := n.paused(target); paused {
		n.queue.push(later, d)
		return
	}
	if target.env != nil && !target.env.closing {
		n.accept(d.rpc, d.sealed, discard{})
	}
}

// discard is the Reply of a copied request.
type discard struct{}

func (discard) Send(m dht.Message, err error) { outcome(m, err) }

// Next waits for whichever request ends first.
func (s *callSet) Next(ctx context.Context) (dht.Result, error) {
	c := s.env.here("Calls.Next")
	if s.pending == 0 {
		panic("simnet: Calls.Next with nothing pending")
	}
	if s.env.closing {
		return dht.Result{}, dht.ErrClosed
	}
	if s.first == nil {
		if s.waiter != nil {
			panic("simnet: Calls.Next by two activities at once")
		}
		if err := c.waitOn(ctx); err != nil {
			return dht.Result{}, err
		}
		s.waiter, c.calls = c, s
		if err := c.park(); err != nil {
			return dht.Result{}, err
		}
	}
	r := s.first
	s.first = r.next
	if s.first == nil {
		s.last = nil
	}
	r.next = nil
	s.pending--
	return r.result(), nil
}

func (r *rpc) result() dht.Result {
	res := dht.Result{To: r.to, Req: r.req, Msg: r.msg, RTT: time.Duration(r.rtt), Err: r.err}
	if r.from != 0 {
		res.From = r.env.net.nodes[r.to.Ref-1].self(r.from)
	}
	return res
}

// Pending counts what Next has not returned.
func (s *callSet) Pending() int { return s.pending }

// Close abandons the rest.
func (s *callSet) Close() {
	s.closed, s.pending, s.first, s.last = true, 0, nil, nil
}
