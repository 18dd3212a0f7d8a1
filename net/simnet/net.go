package simnet

import (
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"time"

	"dyschord/dht"
)

// Net is one simulated world. It belongs to one goroutine: that which made it.
type Net struct {
	cfg   Config
	now   int64 // virtual nanoseconds since epoch
	queue queue
	ready ring
	cur   *coro // the activity that runs; nil in the scheduler and in handlers

	nodes   []*Node
	byID    map[dht.ID]*Node
	layouts []*layout
	kinds   []*kind // by code
	letters letters

	failures kind // replies that are errors

	faults  Faults
	rand    *rand.Rand // the network's own
	link    func(from, to *Node) bool
	clogged func(from, to *Node) bool
	held    []held
	order   map[uint64]int64 // last arrival per pair of nodes, while there is jitter

	backoffs map[uint64]int64 // per pair, until when the one does not try to reach the other

	pool     []*coro
	spare    []*rpc // used requests
	handling *env
	failure  *Failure
	steps    uint64
	machines bool // some node has a host with something wrong
	running  bool
	closed   bool
	dog      watchdog

	hash   uint64
	events uint64
	stats  Stats
}

var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// New makes an empty world at virtual time 0. It panics if cfg is not valid. Close
// it.
func New(cfg Config) *Net {
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	n := &Net{cfg: cfg.withDefaults(), byID: map[dht.ID]*Node{}, hash: cfg.Seed}
	n.rand = rand.New(rand.NewPCG(mix(cfg.Seed, 0, streamNet), 0))
	n.faults = n.cfg.Faults
	n.letters.net = n
	n.failures.Name = "failure"
	return n
}

// Seed is Config.Seed.
func (n *Net) Seed() uint64 { return n.cfg.Seed }

// Now is the virtual time since the start.
func (n *Net) Now() time.Duration { return time.Duration(n.now) }

// Events counts the events run so far.
func (n *Net) Events() uint64 { return n.events }

// Nodes are all nodes that were ever added, in that order, dead ones too. The
// slice must not be changed.
func (n *Net) Nodes() []*Node { return n.nodes }

// Lookup finds a node by its Ref; nil if there is none.
func (n *Net) Lookup(ref uint32) *Node {
	if ref == 0 || int(ref) > len(n.nodes) {
		return nil
	}
	return n.nodes[ref-1]
}

// ByID finds a node by its identifier; nil if there is none.
func (n *Net) ByID(id dht.ID) *Node { return n.byID[id] }

// RunFor runs the world for d of virtual time.
func (n *Net) RunFor(d time.Duration) { n.RunUntil(func() bool { return false }, d) }

// RunUntil runs until cond holds, which is tried after each event, or until limit
// of virtual time has passed. It says whether cond held.
func (n *Net) RunUntil(cond func() bool, limit time.Duration) bool {
	if n.running || n.closed {
		panic("simnet: Run was called from inside a run, after a failed run, or after Close")
	}
	n.running = true
	defer n.annotate()
	n.dog.start(n.cfg.Seed, n.cfg.Watchdog)
	defer n.dog.stop()
	end := n.after(limit)
	met := cond()
	for !met && n.step(end) {
		met = cond()
	}
	if !met {
		n.now = max(n.now, end)
	}
	n.running = false
	return met
}

// step runs what is ready, or else the next event up to limit.
func (n *Net) step(limit int64) bool {
	if n.steps++; n.steps%64 == 0 {
		n.dog.beat.Add(1)
	}
	if n.ready.count > 0 && !n.overtaken(limit) {
		n.enter(n.ready.pop())
		return true
	}
	if len(n.queue.events) == 0 || n.queue.events[0].at > limit {
		return false
	}
	ev := n.queue.pop()
	if ev.at < n.now {
		panic(fmt.Sprintf("simnet: %T was queued for %v, at %v", ev.act, time.Duration(ev.at), n.Now()))
	}
	n.now = ev.at
	if ev.act.off(ev.seq) {
		n.queue.dead = max(0, n.queue.dead-1)
		return true
	}
	n.events++
	ev.act.fire(ev.seq)
	return true
}

// annotate adds to a panic of a handler or callback what one needs to repeat it.
func (n *Net) annotate() {
	v := recover()
	if v == nil {
		return
	}
	if f, ok := v.(*Failure); ok {
		panic(f)
	}
	panic(n.newFailure(n.handling, "handler or callback", v, debug.Stack()))
}

// After calls f in d of virtual time, outside all activities: faults, churn,
// workloads. f must not block.
func (n *Net) After(d time.Duration, f func()) { n.queue.push(n.after(d), callback(f)) }

// At calls f at a virtual time; at once if that has passed.
func (n *Net) At(t time.Duration, f func()) { n.After(t-n.Now(), f) }

type callback func()

func (f callback) fire(uint64)     { f() }
func (f callback) off(uint64) bool { return false }

func (n *Net) after(d time.Duration) int64 {
	if d <= 0 {
		return n.now
	}
	if int64(d) > math.MaxInt64-n.now {
		return math.MaxInt64
	}
	return n.now + int64(d)
}

// Close ends all activities without grace and frees their stacks. It may be called
// again, and after a run that panicked.
func (n *Net) Close() {
	if n.closed {
		return
	}
	n.closed, n.cur, n.failure = true, nil, nil
	for _, nd := range n.nodes {
		nd.Crash()
	}
	for n.ready.count > 0 {
		n.enter(n.ready.pop())
	}
	for _, c := range n.pool {
		c.stop()
	}
	n.pool, n.spare = nil, nil
}

// logger makes a node's logger.
func (n *Net) logger(nd *Node) *slog.Logger {
	if n.cfg.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(virtualTime{n.cfg.Log, n}).With("node", nd.String())
}

// Failure is the value a run panics with: what an activity or a handler panicked
// with, and what is needed to see it again.
type Failure struct {
	Value    any
	Stack    []byte // of the activity
	Seed     uint64
	Node     *Node // nil outside of nodes
	Activity string
	At       time.Duration
}

func (n *Net) newFailure(e *env, activity string, v any, stack []byte) *Failure {
	if f, ok := v.(*Failure); ok {
		return f
	}
	f := &Failure{Value: v, Stack: stack, Seed: n.cfg.Seed, Activity: activity, At: n.Now()}
	if e != nil {
		f.Node = e.node
	}
	return f
}

// Error tells everything, the stack included.
func (f *Failure) Error() string {
	where := "outside of nodes"
	if f.Node != nil {
		where = "at " + f.Node.String()
	}
	what := strings.TrimPrefix(fmt.Sprint(f.Value), "simnet: ")
	return fmt.Sprintf("simnet: %s\n\tin %s, %s, virtual time %v, seed %d\n%s", what, f.Activity, where, f.At, f.Seed, f.Stack)
}

// Unwrap gives the error that was the panic's value, if it was one.
func (f *Failure) Unwrap() error {
	err, _ := f.Value.(error)
	return err
}
