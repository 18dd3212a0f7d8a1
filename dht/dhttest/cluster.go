package dhttest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/net/simnet"
)

// Cluster is simulated nodes that run one overlay, and what a test knows of them.
type Cluster struct {
	tb      testing.TB
	Net     *simnet.Net
	Members []*Member // in the order of adding, dead ones too
	space   dht.Space
	factory dht.Factory
	oracle  dht.Ownership
	check   func(*Cluster) error // nil: nothing is asserted while the world runs
	checked time.Duration        // when, last
}

// Member is a node of a Cluster.
type Member struct {
	*simnet.Node
	Overlay dht.Overlay // of the present run
	Seeds   []dht.Peer
	Joined  bool
	Since   time.Duration // when it joined
	Left    bool
}

// everyStep is the largest cluster whose invariants are checked after each event;
// larger ones are checked once in a virtual second.
const everyStep = 16

// NewCluster makes an empty cluster of cfg, closed with the test.
func NewCluster(tb testing.TB, cfg simnet.Config, factory dht.Factory, oracle dht.Ownership) *Cluster {
	c := &Cluster{tb: tb, Net: simnet.New(cfg), space: cfg.Space, factory: factory, oracle: oracle}
	tb.Cleanup(c.Net.Close)
	return c
}

// Add starts a node with an identifier drawn from the seed, which joins through the
// given members and tries again every second until it has.
func (c *Cluster) Add(seeds ...*Member) *Member {
	m := c.enlist(seeds)
	m.Node = c.Net.Add(m.setup(c))
	return m
}

// AddID is Add with a chosen identifier.
func (c *Cluster) AddID(id uint64, seeds ...*Member) *Member {
	m := c.enlist(seeds)
	m.Node = c.Net.AddID(dht.NewID(0, id), m.setup(c))
	return m
}

func (c *Cluster) enlist(seeds []*Member) *Member {
	m := &Member{}
	for _, s := range seeds {
		m.Seeds = append(m.Seeds, s.Peer())
	}
	c.Members = append(c.Members, m)
	return m
}

// Restart starts a crashed member again, in a new incarnation without memory.
func (c *Cluster) Restart(m *Member, seeds ...*Member) {
	m.Seeds = nil
	for _, s := range seeds {
		m.Seeds = append(m.Seeds, s.Peer())
	}
	m.Restart(m.setup(c))
}

// Crash ends members at once.
func (c *Cluster) Crash(members ...*Member) {
	for _, m := range members {
		m.Joined = false
		m.Crash()
	}
}

// Leave lets m say good-bye and stop.
func (c *Cluster) Leave(m *Member) {
	m.Joined, m.Left = false, true
	m.Await("leave", time.Minute, func(ctx context.Context) {
		if err := m.Overlay.Leave(ctx); err != nil {
			c.tb.Errorf("%s: leave: %v", m, err)
		}
	})
	if err := m.Stop(); err != nil {
		c.tb.Errorf("%s: %v", m, err)
	}
}

func (m *Member) setup(c *Cluster) simnet.Setup {
	return func(env dht.Env) []dht.Service {
		m.Overlay = c.factory(env)
		m.Joined, m.Left = false, false
		env.Go("join", func(ctx context.Context) {
			for m.Overlay.Join(ctx, m.Seeds...) != nil {
				if env.Sleep(ctx, time.Second) != nil {
					return
				}
			}
			m.Joined, m.Since = true, c.Net.Now()
		})
		return []dht.Service{m.Overlay}
	}
}

// Live lists the members that run and have joined, by identifier.
func (c *Cluster) Live() []*Member {
	live := make([]*Member, 0, len(c.Members))
	for _, m := range c.Members {
		if m.Alive() && m.Joined {
			live = append(live, m)
		}
	}
	slices.SortFunc(live, func(a, b *Member) int { return a.Peer().ID.Cmp(b.Peer().ID) })
	return live
}

// Run runs the world for d, or until cond holds if it is given, with the invariants
// checked. It says whether cond held.
func (c *Cluster) Run(d time.Duration, cond func() bool) bool {
	return c.Net.RunUntil(func() bool {
		c.inspect()
		return cond != nil && cond()
	}, d)
}

func (c *Cluster) inspect() {
	if c.check == nil || len(c.Members) > everyStep && c.Net.Now() < c.checked+time.Second {
		return
	}
	c.checked = c.Net.Now()
	if err := c.check(c); err != nil {
		c.tb.Fatalf("at %v, seed %d: invariant broken: %v", c.Net.Now(), c.Net.Seed(), err)
	}
}

// Prefill makes n members whose tables full knowledge gives.
func (c *Cluster) Prefill(n int) {
	for range n {
		m := &Member{}
		c.Members = append(c.Members, m)
		m.Node = c.Net.Add(m.idle(c))
	}
	c.Perfect()
}

// PrefillID makes a member with a chosen identifier that waits for Perfect.
func (c *Cluster) PrefillID(id uint64) *Member {
	m := &Member{}
	c.Members = append(c.Members, m)
	m.Node = c.Net.AddID(dht.NewID(0, id), m.idle(c))
	return m
}

// idle is the setup of a member that does not join by itself.
func (m *Member) idle(c *Cluster) simnet.Setup {
	return func(env dht.Env) []dht.Service {
		m.Overlay = c.factory(env)
		return []dht.Service{m.Overlay}
	}
}

// Perfect gives all members the tables of full knowledge.
func (c *Cluster) Perfect() {
	for _, m := range c.Members {
		m.Joined = true
	}
	sorted := peers(c.Live())
	for _, m := range c.Members {
		m.Overlay.(dht.Prefiller).Prefill(sorted)
	}
}

func peers(members []*Member) []dht.Peer {
	out := make([]dht.Peer, len(members))
	for i, m := range members {
		out[i] = m.Peer()
	}
	return out
}

// Lookup runs one lookup at m to its end.
func (c *Cluster) Lookup(m *Member, key dht.ID, n int) (dht.Route, error) {
	var route dht.Route
	err := fmt.Errorf("lookup of %s at %s did not end in a minute", key, m)
	done := false
	m.Do("lookup", func(ctx context.Context) {
		route, err = m.Overlay.Lookup(ctx, key, n)
		done = true
	})
	c.Run(time.Minute, func() bool { return done })
	return route, err
}

// Owners is what the oracle says of the live members.
func (c *Cluster) Owners(key dht.ID, n int) []dht.Peer {
	return c.oracle(peers(c.Live()), key, n)
}
