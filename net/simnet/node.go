package simnet

import (
	"context"
	"fmt"
	"strings"
	"time"

	"dyschord/dht"
)

// Setup builds the services of a node on its Env. It is called at every start and
// must not block; what needs time goes into env.Go.
type Setup func(env dht.Env) []dht.Service

// Node is a host with an identity, which may run, crash and restart. All its
// methods are for the world outside: tests, workloads, callbacks of the Net.
type Node struct {
	net      *Net
	id       dht.ID
	ref, inc uint32
	env      *env  // nil while it does not run
	host     *host // nil while clock and scheduling are perfect
	first    env   // the first run, which most nodes have alone: beside the node it is in reach
}

// host is what may be wrong with a node's machine.
type host struct {
	resume int64 // paused until then
	offset time.Duration
	drift  float64
	since  int64
}

// Add makes a node with an identifier drawn from the seed and its index, and starts
// it.
func (n *Net) Add(setup Setup) *Node {
	ref := uint64(len(n.nodes)) + 1
	for salt := uint64(0); salt < 1000; salt++ {
		id := dht.NewID(mix(n.cfg.Seed, ref, streamID+salt<<8), mix(n.cfg.Seed, ^ref, streamID+salt<<8))
		id = id.Shr(dht.MaxBits - n.cfg.Space.Width())
		if n.byID[id] == nil {
			return n.AddID(id, setup)
		}
	}
	panic(fmt.Sprintf("simnet: no free identifier for node %d in a space of %d bits", ref, n.cfg.Space.Width()))
}

// AddID makes a node with the given identifier, which no other has, and starts it.
func (n *Net) AddID(id dht.ID, setup Setup) *Node {
	if !n.cfg.Space.Contains(id) || n.byID[id] != nil {
		panic(fmt.Sprintf("simnet: identifier %s: one of %d bits that no node has is allowed", id, n.cfg.Space.Width()))
	}
	nd := &Node{net: n, id: id, ref: uint32(len(n.nodes) + 1)}
	n.nodes = append(n.nodes, nd)
	n.byID[id] = nd
	nd.Restart(setup)
	return nd
}

// Restart starts a node that does not run: the same identity, the next incarnation.
func (nd *Node) Restart(setup Setup) {
	if nd.env != nil {
		panic(fmt.Sprintf("simnet: %s runs already", nd))
	}
	nd.inc++
	e := nd.net.newEnv(nd)
	nd.env = e
	nd.net.note(started, nd, nil, "", 0)
	services := setup(e)
	if len(services) > maxServices {
		panic(fmt.Sprintf("simnet: %s has %d services: at most %d are allowed", nd, len(services), maxServices))
	}
	copy(e.services[:], services)
	e.layout = nd.net.layoutOf(services)
}

const maxServices = 3

// Peer is the node as others name it, with its latest incarnation.
func (nd *Node) Peer() dht.Peer { return nd.self(nd.inc) }

func (nd *Node) self(inc uint32) dht.Peer { return dht.Peer{ID: nd.id, Ref: nd.ref, Inc: inc} }

// Index counts the nodes from 0, in the order in which they were added.
func (nd *Node) Index() int { return int(nd.ref) - 1 }

// Hash is a random number of the node, fixed by the seed, for each salt.
func (nd *Node) Hash(salt uint64) uint64 { return mix(nd.net.cfg.Seed, uint64(nd.ref), salt) }

// Alive says whether the node runs; one that is shutting down does.
func (nd *Node) Alive() bool { return nd.env != nil }

// Env is the node's environment, for tests of Env itself; nil while it does not run.
func (nd *Node) Env() dht.Env {
	if nd.env == nil {
		return nil
	}
	return nd.env
}

// String names the node in traces and logs.
func (nd *Node) String() string {
	return fmt.Sprintf("%d:%s#%d", nd.ref, shorten(nd.net.cfg.Space.Format(nd.id)), nd.inc)
}

func shorten(id string) string { return id[:min(len(id), 8)] }

// Do starts an activity of the node, as a program's HTTP handler would. It says
// whether the node runs.
func (nd *Node) Do(name string, f func(context.Context)) bool {
	e := nd.env
	if e == nil {
		return false
	}
	if later, paused := nd.net.paused(nd); paused {
		nd.net.queue.push(later, callback(func() { e.Go(name, f) }))
	} else {
		e.Go(name, f)
	}
	return true
}

// Await starts an activity and runs the world until it has ended, at most for limit
// of virtual time. It says whether the activity has ended.
func (nd *Node) Await(name string, limit time.Duration, f func(context.Context)) bool {
	done := false
	nd.Do(name, func(ctx context.Context) {
		f(ctx)
		done = true
	})
	return nd.net.RunUntil(func() bool { return done }, limit)
}

// Crash ends the node at once, as SIGKILL does: its activities stop where they are,
// its memory is gone, what others expect of it never comes. Deferred functions run,
// but reach nobody. What a store on this node had not synced is for its owner to
// drop, before Restart.
func (nd *Node) Crash() {
	e := nd.env
	if e == nil {
		return
	}
	nd.env, e.dead = nil, true
	defer e.release()
	nd.net.note(crashed, nd, nil, "", 0)
	for c := e.coros; c != nil; {
		next := c.next
		if c.parked {
			c.unwait()
			nd.net.enter(c)
		}
		c = next
	}
}

// Stop shuts the node down: its contexts end, blocking calls return ErrClosed (what
// has reached the disk goes on to the end), requests are not accepted any more, and
// it runs until its activities have ended. Outside of a run, Stop runs the world
// until then, at most for a minute of virtual time; inside it only begins.
func (nd *Node) Stop() error {
	e := nd.env
	if e == nil || e.closing {
		return nil
	}
	e.closing = true
	e.wakeIf(func(c *coro) error {
		if c.disk {
			return nil
		}
		return dht.ErrClosed
	})
	e.root.end(context.Canceled)
	e.ended()
	if nd.net.running || nd.net.RunUntil(func() bool { return e.dead }, time.Minute) {
		return nil
	}
	return fmt.Errorf("simnet: %s did not stop within a minute: %s", nd, e.activities())
}

func (e *env) activities() string {
	var names []string
	for c := e.coros; c != nil; c = c.next {
		names = append(names, c.name)
	}
	return strings.Join(names, ", ")
}

// Pause stops the node for d, as SIGSTOP does: messages and timers wait.
func (nd *Node) Pause(d time.Duration) { nd.machine().resume = nd.net.after(d) }

// SetClock makes the node's clock wrong from now on: off by offset at this moment,
// and gaining drift seconds per second. Timers are not affected.
func (nd *Node) SetClock(offset time.Duration, drift float64) {
	h := nd.machine()
	h.offset, h.drift, h.since = offset, drift, nd.net.now
}

func (nd *Node) machine() *host {
	if nd.host == nil {
		nd.net.machines = true
		nd.host = &host{}
	}
	return nd.host
}

// paused says until when a node stands still. It does not look at the node where
// nothing is wrong with any.
func (n *Net) paused(nd *Node) (until int64, paused bool) {
	if !n.machines || nd.host == nil {
		return 0, false
	}
	return nd.host.resume, nd.host.resume > n.now
}

// clock is what the node's clock shows at a virtual time.
func (nd *Node) clock(at int64) time.Time {
	t := epoch.Add(time.Duration(at))
	if h := nd.host; h != nil {
		t = t.Add(h.offset + time.Duration(float64(at-h.since)*h.drift))
	}
	return t
}
