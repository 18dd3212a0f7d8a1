package simnet

import (
	"context"

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

// newRPC takes room for a request, if there is any that was used lately: it is in reach.
func (n *Net) newRPC() *rpc {
	k := len(n.spare)
	if k == 0 {
		return &rpc{}
	}
	r := n.spare[k-1]
	n.spare = n.spare[:k-1]
	*r = rpc{}
	return r
}

// recycle keeps the room of a request whose result was taken, if nothing in the queue
// knows it any more. It does not where messages are checked, so that a handler that
// replies twice is found out.
func (n *Net) recycle(r *rpc) {
	if r.arrived && r.timeout == 0 && !r.copied && !r.severed && !n.cfg.CheckCodec {
		n.spare = append(n.spare, r)
	}
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
	r := n.newRPC()
	r.env, r.set, r.to, r.req, r.start = e, s, to, req, n.now
	target := n.Lookup(to.Ref)
	switch {
	case e.closing:
		r.end(nil, dht.ErrClosed)
		return
	case target == nil:
		r.end(nil, dht.ErrUnreachable)
		return
	case n.backingOff(e.node, target):
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
		if s.first == nil { // it had one when this activity was woken
			panic("simnet: Calls.Next, and another activity took the result or closed the calls")
		}
	}
	r := s.first
	s.first = r.next
	if s.first == nil {
		s.last = nil
	}
	r.next = nil
	s.pending--
	res := r.result()
	s.env.net.recycle(r)
	return res, nil
}

// Pending counts what Next has not returned.
func (s *callSet) Pending() int { return s.pending }

// Close abandons the rest.
func (s *callSet) Close() {
	if s.waiter != nil && !s.env.dead {
		panic("simnet: Calls were closed while another activity waits in Next")
	}
	s.closed, s.pending, s.first, s.last = true, 0, nil, nil
}
