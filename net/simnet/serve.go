package simnet

import "dyschord/dht"

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
	if r.severed {
		return
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
	at, ok := n.travel(server, r.env.node)
	if !ok {
		r.lose()
		return
	}
	n.deliver(at, r, server, r.env.node)
	if at >= r.limit {
		r.expire()
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

// copied is the second delivery of a request. Its reply goes nowhere and is not
// counted: the caller has taken, or will take, the first one.
type copied struct {
	*rpc
	sealed  *sealed
	dropped bool // the connection was lost with it
}

func (d *copied) off(uint64) bool { return false }

func (d *copied) fire(uint64) {
	if d.dropped {
		return
	}
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

func (discard) Send(m dht.Message, err error) { _, _ = outcome(m, err) }
