package p2p

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dyschord/dht"
)

// call is one request under way.
type call struct {
	to     dht.Peer
	req    dht.Message
	kind   dht.Kind
	weight int
	began  time.Time   // Start
	taken  atomic.Bool // the writer has it: it may be carried out
	over   bool        // it has ended; guarded by the lock of its set

	// Guarded by the lock of the link (or of the local queue) that has the call.
	set  *calls // who waits; nil once the result is given or given up
	id   uint32
	sent time.Time // given to a stream
	due  time.Time // when to give it up
	via  canceller // who has it; nil if nobody
}

// canceller has calls under way and forgets one that nobody waits for any more.
type canceller interface{ cancel(x *call) }

// calls is dht.Calls: requests of one activity. Results come from readers and
// timers, which do not hold the monitor, so it has a lock.
type calls struct {
	h       *Host
	open    []*call // started; only the activity touches it
	pending int     // likewise
	begun   bool    // likewise: first is in use

	mu     sync.Mutex
	ended  []dht.Result
	closed bool
	wake   chan struct{}

	// Room for the one call that most sets have.
	first     call
	firstOpen [1]*call
	firstEnd  [1]dht.Result
}

func (h *Host) newCalls() *calls {
	c := &calls{h: h, wake: make(chan struct{}, 1)}
	c.open, c.ended = c.firstOpen[:0], c.firstEnd[:0]
	return c
}

// newCall returns an empty call.
func (c *calls) newCall() *call {
	if c.begun {
		return new(call)
	}
	c.begun = true
	return &c.first
}

// Start implements dht.Calls.
func (c *calls) Start(to dht.Peer, req dht.Message) {
	x := c.newCall()
	x.to, x.req, x.set, x.began = to, req, c, time.Now()
	c.pending++
	if err := c.h.launch(x); err != nil {
		c.finish(x, time.Now(), dht.Peer{}, nil, err)
		return
	}
	c.open = append(c.open, x)
	if len(c.open) > 2*c.pending+minOpen {
		c.prune()
	}
}

// minOpen is how many calls that have ended may stay in calls.open at least.
const minOpen = 32

// prune forgets the calls that have ended.
func (c *calls) prune() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = slices.DeleteFunc(c.open, func(x *call) bool { return x.over })
}

// launch hands x to whoever carries it out. An error ends it at once.
func (h *Host) launch(x *call) error {
	kind, known := h.codec.Kind(x.req.Code())
	if !known {
		return fmt.Errorf("p2p: message %d: %w", x.req.Code(), dht.ErrUnknownMessage)
	}
	x.kind, x.weight = kind, h.codec.Weight(x.req)
	if h.ctx.Err() != nil {
		return dht.ErrClosed
	}
	if x.to.Ref == h.self.Ref {
		return h.local.start(x)
	}
	l := h.link(x.to.Ref)
	if l == nil {
		return errUnknownPeer
	}
	return l.start(x)
}

// Next implements dht.Calls.
func (c *calls) Next(ctx context.Context) (dht.Result, error) {
	if c.pending == 0 {
		panic("p2p: Calls.Next with nothing pending")
	}
	for {
		if c.h.ctx.Err() != nil {
			return dht.Result{}, dht.ErrClosed
		}
		if r, ok := c.pop(); ok {
			c.pending--
			return r, nil
		}
		if err := c.wait(ctx); err != nil && !c.has(err) {
			return dht.Result{}, err
		}
	}
}

// has says that there is a result although the wait ended with err: ctx and a call
// may end at once, and then the call comes first.
func (c *calls) has(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.ended) > 0 && !errors.Is(err, dht.ErrClosed)
}

func (c *calls) pop() (r dht.Result, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ended) == 0 {
		return r, false
	}
	r = c.ended[0]
	c.ended = slices.Delete(c.ended, 0, 1)
	return r, true
}

// wait leaves the monitor until a result may be there.
func (c *calls) wait(ctx context.Context) error {
	done, closed := ctx.Done(), c.h.ctx.Done()
	if done == closed {
		done = nil
	}
	c.h.leave()
	defer c.h.enter()
	select {
	case <-c.wake:
		return nil
	case <-closed:
		return dht.ErrClosed
	case <-done:
		return c.h.over(ctx)
	}
}

// Pending implements dht.Calls.
func (c *calls) Pending() int { return c.pending }

// Close implements dht.Calls.
func (c *calls) Close() {
	c.mu.Lock()
	c.closed = true
	c.ended = nil
	c.mu.Unlock()
	if c.pending > 0 {
		for _, x := range c.open {
			if x.via != nil {
				x.via.cancel(x)
			}
		}
	}
	c.open, c.pending = nil, 0
}

// finish ends x at a time, with msg or err. Whoever calls it has taken x.set, so that it is
// called once for each x; no lock is held.
func (c *calls) finish(x *call, now time.Time, from dht.Peer, msg dht.Message, err error) {
	took := now.Sub(x.began)
	c.h.observe(x, err, took)
	c.mu.Lock()
	defer c.mu.Unlock()
	x.over = true
	if c.closed {
		return
	}
	c.ended = append(c.ended, dht.Result{To: x.to, From: from, Req: x.req, Msg: msg, RTT: took, Err: err})
	select {
	case c.wake <- struct{}{}:
	default: // awake already
	}
}

// observe counts, reports and logs the end of a request.
func (h *Host) observe(x *call, err error, took time.Duration) {
	switch {
	case errors.Is(err, dht.ErrTimeout):
		h.counters.Timeouts.Add(1)
	case errors.Is(err, dht.ErrBusy):
		h.counters.Busy.Add(1)
	}
	if h.cfg.OnEvent != nil {
		h.cfg.OnEvent(RPCDone{Message: x.kind.Name, Code: codeOf(err), Took: took})
	}
	if h.cfg.LogRPC {
		h.log.Info("rpc", "message", x.kind.Name, "peer", x.to, "took", took, "err", err)
	}
}

// codeOf is the code of an error, 0 for none.
func codeOf(err error) uint16 {
	var coded *dht.Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, &coded):
		return coded.Code
	}
	return dht.ErrInternal.Code
}

// The ways in which a call ends without an answer. Each is one of dht's errors, with
// what is known of the cause.
var (
	errUnknownPeer = &dht.Error{Code: dht.ErrUnreachable.Code, Text: "peer is unreachable: its contact is not known any more"}
	errUnsent      = &dht.Error{Code: dht.ErrUnreachable.Code, Text: "peer is unreachable: the connection was lost before the request was sent"}
	errLost        = &dht.Error{Code: dht.ErrTimeout.Code, Text: "no answer: the connection was lost after the request was sent"}
)

func unreachable(cause error) error {
	return &dht.Error{Code: dht.ErrUnreachable.Code, Text: fmt.Sprintf("%v: %v", dht.ErrUnreachable, cause)}
}
