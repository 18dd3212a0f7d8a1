package simnet

import (
	"context"
	"fmt"
	"time"
)

// simCtx is a context in virtual time: the root of a node's run, or one with a
// deadline below it. It costs no goroutine and no channel, unless somebody asks
// for Done.
type simCtx struct {
	env      *env
	parent   *simCtx
	outer    context.Context // what WithTimeout was given: it may carry values
	err      error
	deadline int64 // virtual time, its parent's if that is earlier; 0 is none
	timer    uint64
	watchers int32 // activities waiting on this context or one below
	done     chan struct{}
}

type ctxKey struct{}

// Deadline is in the node's own time, as its Now is.
func (c *simCtx) Deadline() (time.Time, bool) {
	if c.deadline == 0 {
		return time.Time{}, false
	}
	return c.env.node.clock(c.deadline), true
}

// Err is the first of its own end and those of its parents.
func (c *simCtx) Err() error {
	for p := c; p != nil; p = p.parent {
		if p.err != nil {
			return p.err
		}
	}
	return nil
}

// Done serves foreign code only, which must not wait for it outside of Block.
func (c *simCtx) Done() <-chan struct{} {
	if c.done == nil {
		c.done = make(chan struct{})
		if c.Err() != nil {
			close(c.done)
		} else {
			c.env.doneCtxs = append(c.env.doneCtxs, c)
		}
	}
	return c.done
}

// Value finds the context itself, so that it is recognised below WithValue.
func (c *simCtx) Value(key any) any {
	if key == (ctxKey{}) {
		return c
	}
	if c.outer != nil {
		return c.outer.Value(key)
	}
	return nil
}

// String says what fmt would otherwise print of the fields.
func (c *simCtx) String() string { return fmt.Sprintf("simnet context of %s", c.env.node) }

// watch counts an activity that starts (1) or ends (-1) to wait.
func (c *simCtx) watch(delta int32) {
	for p := c; p != nil; p = p.parent {
		p.watchers += delta
	}
}

// end ends c and all below it, and wakes who waits there.
func (c *simCtx) end(err error) {
	if c.Err() != nil {
		return
	}
	c.err = err
	e := c.env
	if c.timer != 0 {
		c.timer = 0
		e.net.queue.calledOff()
	}
	if c.watchers > 0 {
		e.wakeIf(func(w *coro) error {
			if w.ctx == nil {
				return nil
			}
			return w.ctx.Err()
		})
	}
	open := e.doneCtxs[:0]
	for _, d := range e.doneCtxs {
		if d.Err() != nil {
			close(d.done)
		} else {
			open = append(open, d)
		}
	}
	clear(e.doneCtxs[len(open):])
	e.doneCtxs = open
}

func (c *simCtx) off(seq uint64) bool { return c.timer != seq || c.env.dead }

// fire ends the context by its deadline.
func (c *simCtx) fire(uint64) {
	if later, paused := c.env.net.paused(c.env.node); paused {
		c.timer = c.env.net.queue.push(later, c)
		return
	}
	c.timer = 0
	c.end(context.DeadlineExceeded)
}

// ours finds the simulator's context in what protocol code passed: nil for one
// that never ends. It panics on a context that something else may cancel, because
// nothing would wake the activity then.
func (e *env) ours(ctx context.Context) *simCtx {
	c, ok := ctx.(*simCtx)
	if !ok {
		c, _ = ctx.Value(ctxKey{}).(*simCtx)
		switch {
		case c == nil && ctx.Done() == nil:
			return nil
		case c == nil || ctx.Done() != c.Done():
			panic("simnet: a context made by package context cannot end in virtual time: use Env.WithTimeout")
		}
	}
	if c.env != e {
		panic(fmt.Sprintf("simnet: %s used at %s, or in another run of it", c, e.node))
	}
	return c
}
