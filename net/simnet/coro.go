package simnet

import (
	"errors"
	"iter"
	"runtime/debug"
)

// coro runs activities one after another on a stack of its own. It is taken from
// a last-in-first-out pool, so that few stacks serve many activities and stay warm.
type coro struct {
	net    *Net
	resume func() (struct{}, bool) // runs it until it parks or its activity ends
	stop   func()
	yield  func(struct{}) bool

	env        *env // whose activity it runs; nil while it is in the pool
	name       string
	run        func(*coro)
	prev, next *coro // among the activities of env

	parked  bool // waits for a wake
	err     error
	timer   uint64   // event that ends a Sleep or a Block
	disk    bool     // in a Block: nothing but the disk ends it
	ctx     *simCtx  // whose end ends the wait; nil when nothing does
	signal  *signal  // waited on
	calls   *callSet // waited on
	waitSeq *coro    // next among those waiting on the same signal
}

// errKilled unwinds the activities of a node that crashed. It is never seen by
// protocol code.
var errKilled = errors.New("simnet: the node crashed")

// spawn makes an activity of e and puts it at the end of the ready queue.
func (n *Net) spawn(e *env, name string, run func(*coro)) {
	n.ready.push(n.attach(e, name, run))
}

func (n *Net) attach(e *env, name string, run func(*coro)) *coro {
	var c *coro
	if k := len(n.pool); k > 0 {
		c = n.pool[k-1]
		n.pool = n.pool[:k-1]
	} else {
		c = &coro{net: n}
		c.resume, c.stop = iter.Pull(c.loop)
	}
	c.env, c.name, c.run = e, name, run
	c.next = e.coros
	if e.coros != nil {
		e.coros.prev = c
	}
	e.coros = c
	return c
}

// loop is the body of the coroutine: one activity after the other.
func (c *coro) loop(yield func(struct{}) bool) {
	c.yield = yield
	for {
		c.activity()
		if !yield(struct{}{}) {
			return
		}
	}
}

// activity runs one activity to its end and keeps what it panicked with, with the
// stack, which iter.Pull would lose.
func (c *coro) activity() {
	defer func() {
		if v := recover(); v != nil && v != any(errKilled) {
			c.net.failure = c.net.newFailure(c.env, c.name, v, debug.Stack())
		}
		c.detach()
	}()
	if !c.env.dead {
		c.run(c)
	}
}

// detach ends the activity and returns the coroutine to the pool.
func (c *coro) detach() {
	e := c.env
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		e.coros = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	*c = coro{net: c.net, resume: c.resume, stop: c.stop, yield: c.yield}
	c.net.pool = append(c.net.pool, c)
	e.ended()
}

// enter resumes c until it parks or its activity ends.
func (n *Net) enter(c *coro) {
	outer := n.cur
	n.cur = c
	c.resume()
	n.cur = outer
	if n.failure != nil {
		panic(n.failure)
	}
}

// park waits for a wake of the running activity and returns the error given with
// it. What ends the wait was set in c before: timer, ctx, signal, calls.
func (c *coro) park() error {
	c.parked = true
	if !c.yield(struct{}{}) || c.env.dead {
		c.parked = false
		panic(errKilled)
	}
	return c.err
}

// wake ends c's wait: it runs on after what is ready already. c must be parked.
func (c *coro) wake(err error) {
	c.unwait()
	if c.env.dead {
		return
	}
	c.parked, c.err = false, err
	c.net.ready.push(c)
}

// unwait takes c from everything that could wake it.
func (c *coro) unwait() {
	c.disk = false
	if c.timer != 0 {
		c.timer = 0
		c.net.queue.calledOff()
	}
	if c.ctx != nil {
		c.ctx.watch(-1)
		c.ctx = nil
	}
	if c.signal != nil {
		c.signal.remove(c)
		c.signal = nil
	}
	if c.calls != nil {
		c.calls.waiter = nil
		c.calls = nil
	}
}

func (c *coro) off(seq uint64) bool { return c.timer != seq }

// fire ends a Sleep or a Block.
func (c *coro) fire(uint64) {
	if later, paused := c.net.paused(c.env.node); paused {
		c.timer = c.net.queue.push(later, c)
		return
	}
	c.timer = 0
	c.net.note(tick, c.env.node, nil, c.name, 0)
	c.wake(nil)
}

// ring is a first-in-first-out queue of coroutines that are ready to run.
type ring struct {
	items []*coro // a power of two
	head  int
	count int
}

func (r *ring) push(c *coro) {
	if r.count == len(r.items) {
		grown := make([]*coro, max(16, 2*len(r.items)))
		for i := range r.count {
			grown[i] = r.items[(r.head+i)&(len(r.items)-1)]
		}
		r.items, r.head = grown, 0
	}
	r.items[(r.head+r.count)&(len(r.items)-1)] = c
	r.count++
}

func (r *ring) pop() *coro {
	c := r.items[r.head]
	r.items[r.head] = nil
	r.head = (r.head + 1) & (len(r.items) - 1)
	r.count--
	return c
}
