package kv

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/kv/store"
	"dyschord/net/simnet"
)

// cluster is a simulated cluster with the nodes' own code.
type cluster struct {
	t       testing.TB
	net     *simnet.Net
	cfg     Config
	factory dht.Factory // nil: an overlay that knows everything
	owners  dht.Ownership
	members []*member
	rng     *rand.Rand // for the test's own choices
	fatal   int
	spares  bool // a node that stopped over its disk gets another
	events  func(*simnet.Node, dht.Event)
}

// member is a node of the cluster, with what survives its crashes.
type member struct {
	c       *cluster
	sim     *simnet.Node
	kv      *Node
	overlay dht.Overlay
	disk    *store.Memory
	founder bool
	joined  bool    // Start was called in this life
	gone    bool    // it left
	busy    float64 // how often its disk is behind
}

// moody is a disk that is behind now and then.
type moody struct {
	*store.Memory
	m *member
}

func (d moody) Apply(b *store.Batch) (store.Commit, error) {
	if d.m.busy > 0 && d.m.c.rng.Float64() < d.m.busy {
		return nil, store.ErrBusy
	}
	return d.Memory.Apply(b)
}

type option func(*cluster, *simnet.Config)

func withConfig(cfg Config) option { return func(c *cluster, _ *simnet.Config) { c.cfg = cfg } }

// newCluster makes a world with no nodes in it.
func newCluster(t testing.TB, seed uint64, opts ...option) *cluster {
	t.Helper()
	c := &cluster{t: t, owners: dht.Successors, cfg: Config{Slots: 16}, rng: rand.New(rand.NewPCG(seed, 99))}
	sim := simnet.Config{Seed: seed, Latency: simnet.Uniform{Min: time.Millisecond, Max: 5 * time.Millisecond}, CheckCodec: true}
	for _, o := range opts {
		o(c, &sim)
	}
	sim.Events = func(nd *simnet.Node, e dht.Event) {
		if c.events != nil {
			c.events(nd, e)
		}
	}
	if level := os.Getenv("KV_LOG"); level != "" {
		var l slog.Level
		if err := l.UnmarshalText([]byte(level)); err != nil {
			t.Fatal(err)
		}
		sim.Log = slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l})
	}
	c.net = simnet.New(sim)
	t.Cleanup(c.net.Close)
	return c
}

// grow makes a cluster of n nodes and waits until it has its full replication.
func grow(t testing.TB, seed uint64, n int, opts ...option) *cluster {
	t.Helper()
	c := newCluster(t, seed, opts...)
	for range n {
		c.add()
	}
	c.settle(2 * time.Minute)
	return c
}

// add starts one more node: the first founds the cluster.
func (c *cluster) add() *member {
	m := &member{c: c, disk: store.NewMemory(store.MemoryOptions{Crashable: true}), founder: len(c.members) == 0}
	c.members = append(c.members, m)
	m.sim = c.net.Add(m.setup)
	return m
}

func (m *member) setup(env dht.Env) []dht.Service {
	m.joined = false
	if m.c.factory != nil {
		m.overlay = m.c.factory(env)
	} else {
		m.overlay = &oracle{c: m.c}
	}
	cfg := m.c.cfg
	cfg.Fatal = func(error) {
		m.c.fatal++
		if m.c.spares {
			m.c.net.After(time.Second, m.replaceDisk)
		}
	}
	var err error
	m.busy = 0
	if m.kv, err = New(env, m.overlay, moody{m.disk, m}, cfg); err != nil {
		m.c.t.Errorf("node %s: %v", m.sim, err)
		return nil
	}
	kv := m.kv
	env.Go("boot", func(ctx context.Context) { m.boot(ctx, env, kv) })
	return []dht.Service{m.overlay, kv}
}

func (m *member) boot(ctx context.Context, env dht.Env, kv *Node) {
	for {
		var seeds []dht.Peer
		for _, other := range m.c.members {
			if other != m && other.sim != nil && !other.gone {
				seeds = append(seeds, dht.Peer{ID: other.sim.Peer().ID, Ref: other.sim.Peer().Ref})
			}
		}
		if m.founder && kv.Empty() {
			seeds = nil
		}
		err := m.overlay.Join(ctx, seeds...)
		if err != nil && m.eldest() && !kv.Empty() {
			err = m.overlay.Join(ctx) // all were down: somebody has to begin
		}
		if err == nil {
			break
		}
		if env.Sleep(ctx, 500*time.Millisecond) != nil {
			return
		}
	}
	if m.founder && kv.Empty() {
		if err := kv.Found(ctx); err != nil {
			m.c.t.Errorf("found: %v", err)
		}
	}
	if err := kv.Start(ctx); err != nil {
		m.c.t.Errorf("start: %v", err)
	}
	m.joined = true
}

// eldest says whether no node that was added before this one is still a member.
func (m *member) eldest() bool {
	for _, other := range m.c.members {
		if !other.gone {
			return other == m
		}
	}
	return false
}

// crash kills the node, with a part of what it had not synced.
func (m *member) crash() {
	m.sim.Crash()
	m.disk = m.disk.Crash(m.c.rng)
}

// replaceDisk is what an operator does about a node that stopped over its disk: what
// was durable is carried over.
func (m *member) replaceDisk() {
	if m.up() {
		m.crash()
		m.restart()
	}
}

func (m *member) restart() { m.sim.Restart(m.setup) }

func (m *member) up() bool { return m.sim.Alive() }

// settle runs until every slot is fully replicated on live nodes, and fails the
// test if that takes longer than limit.
func (c *cluster) settle(limit time.Duration) {
	c.t.Helper()
	if !c.net.RunUntil(c.every(100*time.Millisecond, c.converged), limit) {
		c.t.Fatalf("seed %d: not converged after %s at %s:\n%s", c.net.Seed(), limit, c.net.Now(), c.describe())
	}
}

func (c *cluster) until(t *testing.T, limit time.Duration, cond func() bool) {
	t.Helper()
	if !c.net.RunUntil(cond, limit) {
		t.Fatalf("did not happen in %s\n%s", limit, c.describe())
	}
}

// every evaluates cond at most once in d of virtual time.
func (c *cluster) every(d time.Duration, cond func() bool) func() bool {
	next := c.net.Now()
	return func() bool {
		if c.net.Now() < next {
			return false
		}
		next = c.net.Now() + d
		return cond()
	}
}

func (c *cluster) live() []*member {
	var live []*member
	for _, m := range c.members {
		if m.up() && m.joined && !m.gone {
			live = append(live, m)
		}
	}
	return live
}

// newestOf is the latest configuration of a slot that any live node knows.
func (c *cluster) newestOf(id uint32) *configuration {
	var best *configuration
	for _, m := range c.live() {
		if known := m.kv.latest(id); known != nil && (best == nil || known.Epoch > best.Epoch) {
			best = known
		}
	}
	return best
}

// converged says whether every slot is in force at as many live nodes as wanted,
// with equal logs, and served by its primary.
func (c *cluster) converged() bool {
	want := min(c.replicas(), len(c.live()))
	if want == 0 {
		return false
	}
	for id := range uint32(len(c.live()[0].kv.slots)) {
		best := c.newestOf(id)
		if best == nil || len(best.Members) != want {
			return false
		}
		last, serving := uint64(0), false
		for i, p := range best.Members {
			m := c.member(p)
			if m == nil || !m.up() || !m.joined {
				return false
			}
			s := m.kv.slots[id]
			if s == nil || !m.kv.active(s, best.Epoch) || i > 0 && s.last != last {
				return false
			}
			last = s.last
			serving = serving || m.kv.serving(s)
		}
		if !serving {
			return false
		}
	}
	return true
}

func (c *cluster) replicas() int { return c.cfg.withDefaults().Replicas }

func (c *cluster) member(p dht.Peer) *member {
	for _, m := range c.members {
		if m.sim.Peer().Same(p) {
			return m
		}
	}
	return nil
}

func (c *cluster) describe() string {
	text := ""
	for _, m := range c.members {
		text += fmt.Sprintf("%s up=%v joined=%v gone=%v\n", m.sim, m.up(), m.joined, m.gone)
		if !m.up() || !m.joined {
			continue
		}
		for _, s := range m.kv.slots {
			if s == nil {
				continue
			}
			next := ""
			if s.Next != nil {
				next = fmt.Sprintf(" next=%d%s", s.Next.Epoch, c.names(s.Next.Members))
			}
			text += fmt.Sprintf("  slot %d e%d%s p%d %s last=%d com=%d tag=%d ready=%v dirty=%v prom=%d acc=%v copying=%v mending=%v want=%s cause=%s%s\n",
				s.id, s.Cfg.Epoch, c.names(s.Cfg.Members), s.Cfg.Primary, m.kv.role(s, m.kv.latest(s.id)), s.last, s.Com, s.Tag, s.ready, s.Dirty,
				s.Prom.N, s.Acc != nil, s.copying, s.mending, c.names(s.upkeep.want), s.upkeep.cause, next)
		}
	}
	return text
}

func (c *cluster) names(peers []dht.Peer) string {
	var refs []uint32
	for _, p := range peers {
		refs = append(refs, p.Ref)
	}
	return fmt.Sprint(refs)
}

// put, get and remove run one operation to its end.
func (m *member) put(key, value string) (Written, error) {
	var w Written
	var err error
	m.await(func(ctx context.Context) { w, _, err = m.kv.Put(ctx, []byte(key), Put{Value: []byte(value)}) })
	return w, err
}

func (m *member) get(key string) (string, error) {
	var item Item
	var err error
	m.await(func(ctx context.Context) { item, _, err = m.kv.Get(ctx, []byte(key)) })
	return string(item.Value), err
}

func (m *member) remove(key string) (Written, error) {
	var w Written
	var err error
	m.await(func(ctx context.Context) { w, _, err = m.kv.Delete(ctx, []byte(key)) })
	return w, err
}

func (m *member) await(f func(context.Context)) {
	m.c.t.Helper()
	if !m.sim.Await("client", time.Minute, f) {
		m.c.t.Fatalf("seed %d: an operation did not end in a minute at %s\n%s", m.c.net.Seed(), m.c.net.Now(), m.c.describe())
	}
}
