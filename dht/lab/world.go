package lab

import (
	"context"
	"fmt"
	"slices"
	"time"

	"dyschord/dht"
	"dyschord/net/simnet"
)

// World is a scenario being run. Tests and benchmarks that need more than [Run] take
// it step by step. It belongs to one goroutine.
type World struct {
	scenario Scenario
	net      *simnet.Net
	factory  dht.Factory
	hosts    []host
	oracle   oracle
	tally    tally
}

// host is a machine: it runs one node at a time.
type host struct {
	node     *simnet.Node
	overlay  dht.Overlay
	sessions source // draws how long it lives and is down
	keys     source // draws when it looks up what
	member   bool   // its node is in the overlay
}

// New makes the world of a scenario at virtual time 0. Close it.
func New(s Scenario) (*World, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	s = s.withDefaults()
	w := &World{scenario: s, hosts: make([]host, s.Nodes)}
	network := s.network()
	network.Events = w.tally.observe
	w.net = simnet.New(network)
	if err := w.populate(); err != nil {
		w.Close()
		return nil, fmt.Errorf("lab: %w", err)
	}
	return w, nil
}

func (w *World) populate() error {
	s := &w.scenario
	algorithm, err := s.algorithm()
	if err != nil {
		return err
	}
	w.factory, w.oracle.rule = algorithm.Factory, algorithm.Owners
	for i := range w.hosts {
		w.hosts[i].sessions.seed(s.Seed, streamSessions, i)
		w.hosts[i].keys.seed(s.Seed, streamKeys, i)
		if s.LookupEvery > 0 {
			w.nextLookup(i)
		}
	}
	if s.JoinEvery > 0 {
		for i := range w.hosts {
			w.net.At(time.Duration(i)*s.JoinEvery, func() { w.join(i) })
		}
		return nil
	}
	return w.prefill()
}

// Net is the simulator, for faults and for figures of its own.
func (w *World) Net() *simnet.Net { return w.net }

// Members counts the present members of the overlay.
func (w *World) Members() int { return len(w.oracle.members) }

// Close ends the world.
func (w *World) Close() { w.net.Close() }

// prefill starts all nodes at once, with tables made from full knowledge.
func (w *World) prefill() error {
	members := make([]dht.Peer, len(w.hosts))
	for i := range w.hosts {
		w.boot(i)
		members[i] = w.hosts[i].node.Peer()
	}
	slices.SortFunc(members, func(a, b dht.Peer) int { return a.ID.Cmp(b.ID) })
	for i := range w.hosts {
		overlay, ok := w.hosts[i].overlay.(dht.Prefiller)
		if !ok {
			return fmt.Errorf("algorithm %q cannot start with full tables: set a join interval", w.scenario.Algorithm)
		}
		overlay.Prefill(members)
		w.hosts[i].member = true
	}
	w.oracle.members = slices.Clone(members)
	return nil
}

// boot starts a host's node, a new one or the next incarnation of the last one, and
// the clock of its session.
func (w *World) boot(i int) {
	h := &w.hosts[i]
	setup := func(env dht.Env) []dht.Service {
		h.overlay = w.factory(env)
		return []dht.Service{h.overlay}
	}
	if h.node != nil && w.scenario.Churn.SameID {
		h.node.Restart(setup)
	} else {
		h.node = w.net.Add(setup)
	}
	w.tally.alive(w.net.Now(), 1)
	if c := w.scenario.Churn; c.Session > 0 && i >= c.Spared {
		w.net.After(h.sessions.exp(c.Session), func() { w.crash(i) })
	}
}

// crash ends a host's node; the host comes back after its down time.
func (w *World) crash(i int) {
	h := &w.hosts[i]
	h.node.Crash()
	w.oracle.remove(h.node.Peer())
	h.member = false
	w.tally.alive(w.net.Now(), -1)
	w.net.After(h.sessions.exp(w.scenario.Churn.Down), func() { w.join(i) })
}

// join boots a host's node and lets it into the overlay.
func (w *World) join(i int) {
	w.boot(i)
	h := &w.hosts[i]
	h.node.Do("join", func(ctx context.Context) {
		if w.enter(ctx, h) {
			w.oracle.add(h.node.Peer())
			h.member = true
		}
	})
}

// retry is how long a node waits after it found no way in.
const retry = 5 * time.Second

// enter tries members drawn at random until one lets the node in. It returns false
// if the node shuts down before.
func (w *World) enter(ctx context.Context, h *host) bool {
	env := h.node.Env()
	for {
		var seeds []dht.Peer
		if n := len(w.oracle.members); n > 0 {
			seeds = append(seeds, w.oracle.members[env.Rand().IntN(n)])
		}
		err := h.overlay.Join(ctx, seeds...)
		if err == nil {
			return true
		}
		env.Log().Debug("join failed", "err", err)
		if env.Sleep(ctx, retry) != nil {
			return false
		}
	}
}
