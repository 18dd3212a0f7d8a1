package simnet

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"dyschord/dht"
	"dyschord/internal/rto"
)

// env is one run of a node, from start or restart to crash or stop: what a process
// would lose. All nodes of a large simulation have one, so it is kept small.
type env struct {
	// What every event needs comes first: a large world waits for memory most of the
	// time.
	net      *Net
	node     *Node
	inc      uint32
	inFlight int32
	dead     bool // crashed, or stopped to the end
	closing  bool // shutting down: its contexts have ended
	layout   *layout
	services [maxServices]dht.Service
	coros    *coro            // activities, newest first
	owed     map[uint32]int32 // replies kept by handlers, by the peer that waits; nil until there was one
	rto      rto.Table
	root     simCtx
	pcg      rand.PCG
	rand     rand.Rand
	log      *slog.Logger
	doneCtxs []*simCtx
}

func (n *Net) newEnv(nd *Node) *env {
	e := &nd.first
	if e.net != nil {
		e = &env{}
	}
	e.net, e.node, e.inc = n, nd, nd.inc
	e.root.env = e
	e.pcg.Seed(mix(n.cfg.Seed, uint64(nd.ref), streamRand), uint64(nd.inc))
	e.rand = *rand.New(&e.pcg)
	return e
}

// release forgets what a run that is over held; the run itself may be remembered
// by messages under way, and by its node.
func (e *env) release() {
	e.dead = true
	e.services = [maxServices]dht.Service{}
	e.rto, e.owed, e.log, e.doneCtxs = rto.Table{}, nil, nil, nil
}

// here checks that the running activity is one of this node and may block.
func (e *env) here(call string) *coro {
	c := e.net.cur
	if c == nil {
		panic(fmt.Sprintf("simnet: %s blocks, and was called from a handler, a setup or from outside an activity: use Env.Go", call))
	}
	if c.env != e {
		panic(fmt.Sprintf("simnet: %s of %s was called by the activity %q of %s", call, e.node, c.name, c.env.node))
	}
	if e.dead {
		panic(errKilled)
	}
	return c
}

// waitOn lets the end of ctx end the next park of c. It returns ctx's error when
// it has ended already, and ErrClosed when the node is shutting down.
func (c *coro) waitOn(ctx context.Context) error {
	if c.env.closing {
		return dht.ErrClosed
	}
	s := c.env.ours(ctx)
	if s == nil {
		return nil
	}
	if err := s.Err(); err != nil {
		return err
	}
	c.ctx = s
	s.watch(1)
	return nil
}

// wakeIf wakes the parked activities for which f gives an error. It visits them
// oldest first.
func (e *env) wakeIf(f func(*coro) error) {
	last := e.coros
	for last != nil && last.next != nil {
		last = last.next
	}
	for c := last; c != nil; c = c.prev {
		if !c.parked || c.late {
			continue
		}
		if err := f(c); err != nil {
			c.wake(err)
		}
	}
}

// ended is called after each activity; the last one completes a shutdown.
func (e *env) ended() {
	if e.closing && !e.dead && e.coros == nil {
		e.release()
		e.node.env = nil
		e.net.note(stopped, e.node, nil, "", 0)
	}
}

// Now is the node's own clock, which may be wrong.
func (e *env) Now() time.Time { return e.node.clock(e.net.now) }

// Sleep waits in virtual time.
func (e *env) Sleep(ctx context.Context, d time.Duration) error {
	c := e.here("Sleep")
	if err := c.waitOn(ctx); err != nil {
		return err
	}
	c.timer = e.net.queue.push(e.net.after(d), c)
	return c.park()
}

// WithTimeout makes a context that ends in virtual time.
func (e *env) WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	c := &simCtx{env: e, parent: e.ours(ctx), outer: ctx}
	c.deadline = e.net.after(d)
	if c.parent != nil && c.parent.deadline != 0 {
		c.deadline = min(c.deadline, c.parent.deadline)
	}
	if c.Err() == nil {
		// The parent's may have passed while the node stood still.
		c.timer = e.net.queue.push(max(c.deadline, e.net.now), c)
	}
	return c, func() { c.end(context.Canceled) }
}

// Go starts an activity.
func (e *env) Go(name string, f func(context.Context)) {
	if e.dead {
		return
	}
	e.net.spawn(e, name, task(f))
}

// Every starts periodic work. Between runs it is one small value and one event.
func (e *env) Every(name string, d, jitter time.Duration, f func(context.Context)) (stop func()) {
	if d <= 0 || jitter < 0 || jitter > d {
		panic(fmt.Sprintf("simnet: Every(%q, %v, %v): a positive interval and a jitter of 0 to the interval are allowed", name, d, jitter))
	}
	p := &periodic{env: e, name: name, d: d, jitter: jitter, f: f}
	if !e.dead {
		e.net.queue.push(e.net.after(time.Duration(e.rand.Int64N(int64(d)))), p)
	}
	return p.stop
}

// periodic is an activity that Every repeats.
type periodic struct {
	env       *env
	name      string
	d, jitter time.Duration
	f         func(context.Context)
	stopped   bool
}

func (p *periodic) stop() { p.stopped, p.f = true, nil }

func (p *periodic) off(uint64) bool { return p.stopped || p.env.dead || p.env.closing }

func (p *periodic) fire(uint64) {
	e := p.env
	if later, paused := e.net.paused(e.node); paused {
		e.net.queue.push(later, p)
		return
	}
	e.net.note(tick, e.node, nil, p.name, 0)
	e.net.enter(e.net.attach(e, p.name, p))
}

func (p *periodic) run(e *env) {
	p.f(&e.root)
	if p.off(0) {
		return
	}
	wait := p.d
	if p.jitter > 0 {
		wait += time.Duration(e.rand.Int64N(2*int64(p.jitter)+1)) - p.jitter
	}
	e.net.queue.push(e.net.after(wait), p)
}

// Signal makes a condition.
func (e *env) Signal() dht.Signal { return &signal{env: e} }

type signal struct {
	env         *env
	first, last *coro
}

// Wait blocks until Notify.
func (s *signal) Wait(ctx context.Context) error {
	c := s.env.here("Signal.Wait")
	if err := c.waitOn(ctx); err != nil {
		return err
	}
	c.signal = s
	if s.last == nil {
		s.first = c
	} else {
		s.last.waitSeq = c
	}
	s.last = c
	return c.park()
}

// Notify wakes all in the order in which they came.
func (s *signal) Notify() {
	for s.first != nil {
		s.first.wake(nil)
	}
}

func (s *signal) remove(c *coro) {
	var prev *coro
	for w := s.first; w != c; w = w.waitSeq {
		prev = w
	}
	if prev == nil {
		s.first = c.waitSeq
	} else {
		prev.waitSeq = c.waitSeq
	}
	if s.last == c {
		s.last = prev
	}
	c.waitSeq = nil
}

// Block lets the disk latency pass, then runs f: a crash before that finds f not
// done, as a crash during an fsync may find it.
func (e *env) Block(ctx context.Context, f func() error) error {
	c := e.here("Block")
	if e.closing {
		return dht.ErrClosed
	}
	if s := e.ours(ctx); s != nil && s.Err() != nil {
		return s.Err()
	}
	c.timer = e.net.queue.push(e.net.after(e.net.cfg.Disk(e.node)+e.net.draw(e.net.faults.DiskJitter)), c)
	c.disk = true
	if err := c.park(); err != nil {
		return err
	}
	return f()
}

// Self is the node with its present incarnation.
func (e *env) Self() dht.Peer { return e.node.self(e.inc) }

// Record is the Ref in four bytes: it never changes within a simulation.
func (e *env) Record(p dht.Peer) []byte {
	if e.net.Lookup(p.Ref) == nil {
		return nil
	}
	return binary.BigEndian.AppendUint32(nil, p.Ref)
}

// Intern reads what Record wrote.
func (e *env) Intern(record []byte) (dht.Peer, error) {
	if len(record) != 4 {
		return dht.Peer{}, fmt.Errorf("%w: a contact of %d bytes, not 4", dht.ErrMalformed, len(record))
	}
	nd := e.net.Lookup(binary.BigEndian.Uint32(record))
	if nd == nil {
		return dht.Peer{}, fmt.Errorf("%w: contact %x names no node", dht.ErrMalformed, record)
	}
	return dht.Peer{ID: nd.id, Ref: nd.ref}, nil
}

// Rand is seeded per (seed, node, incarnation).
func (e *env) Rand() *rand.Rand { return &e.rand }

// Emit hands ev to Config.Events.
func (e *env) Emit(ev dht.Event) {
	if e.net.cfg.Events != nil && !e.dead {
		e.net.cfg.Events(e.node, ev)
	}
}

// Log writes to Config.Log with the node and the virtual time.
func (e *env) Log() *slog.Logger {
	if e.log == nil {
		e.log = e.net.logger(e.node)
	}
	return e.log
}
