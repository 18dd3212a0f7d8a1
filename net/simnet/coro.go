package simnet

import (
	"context"
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
	body       body
	prev, next *coro // among the activities of env

	parked  bool // waits for a wake
	err     error
	timer   uint64   // event that ends a Sleep or a Block
	disk    bool     // in a Block: nothing but the disk ends it
	late    bool     // its wait is over, and it is late: nothing but timer ends that
	ctx     *simCtx  // whose end ends the wait; nil when nothing does
	signal  *signal  // waited on
	calls   *callSet // waited on
	waitSeq *coro    // next among those waiting on the same signal
}

// body is what an activity of e does.
type body interface{ run(e *env) }

// task is the body of an activity that Go starts.
type task func(context.Context)

func (t task) run(e *env) { t(&e.root) }

// errKilled unwinds the activities of a node that crashed. It is never seen by
// protocol code.
var errKilled = errors.New("simnet: the node crashed")

// spawn makes an activity of e and puts it at the end of the ready queue.
func (n *Net) spawn(e *env, name string, b body) {
	n.ready.push(n.attach(e, name, b))
}

func (n *Net) attach(e *env, name string, b body) *coro {
	var c *coro
	if k := len(n.pool); k > 0 {
		c = n.pool[k-1]
		n.pool = n.pool[:k-1]
	} else {
		c = &coro{net: n}
		c.resume, c.stop = iter.Pull(c.loop)
	}
	c.env, c.name, c.body = e, name, b
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
		c.body.run(c.env)
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

// wake ends c's wait: it runs on after what is ready already, unless it is late. c
// must be parked.
func (c *coro) wake(err error) {
	c.unwait()
	if c.env.dead {
		return
	}
	c.err = err
	if !c.delay() {
		c.ready()
	}
}

func (c *coro) ready() {
	c.parked = false
	n := c.net
	n.ready.push(c)
	if n.faults.Late > 0 {
		n.ready.raise(n.rand.IntN(n.ready.count))
	}
}

// delay draws whether c, whose wait is over, is late.
func (c *coro) delay() bool {
	n := c.net
	if n.faults.Late == 0 || n.rand.Float64() >= n.faults.Late {
		return false
	}
	n.stats.Delayed++
	c.late = true
	c.timer = n.queue.push(n.after(n.draw(n.faults.LateBy)), c)
	return true
}

// overtaken draws whether the next event comes before what is ready.
func (n *Net) overtaken(limit int64) bool {
	f := &n.faults
	if f.Late == 0 || len(n.queue.events) == 0 || n.queue.events[0].at > min(limit, n.after(f.LateBy)) {
		return false
	}
	return n.rand.Float64() < f.Late
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

// fire ends a Sleep or a Block, or lets run on what is late.
func (c *coro) fire(uint64) {
	if later, paused := c.net.paused(c.env.node); paused {
		c.timer = c.net.queue.push(later, c)
		return
	}
	c.timer = 0
	if c.late {
		c.late = false
		c.ready()
		return
	}
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

// raise moves the last item up by so many places.
func (r *ring) raise(places int) {
	mask := len(r.items) - 1
	for i := r.head + r.count - 1; places > 0; places-- {
		r.items[i&mask], r.items[(i-1)&mask] = r.items[(i-1)&mask], r.items[i&mask]
		i--
	}
}

func (r *ring) pop() *coro {
	c := r.items[r.head]
	r.items[r.head] = nil
	r.head = (r.head + 1) & (len(r.items) - 1)
	r.count--
	return c
}
