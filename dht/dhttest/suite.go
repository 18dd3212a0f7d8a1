package dhttest

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/net/simnet"
)

// Options says how to make the overlay under test and what it promises.
type Options struct {
	// New makes the overlay in one variant.
	New func(Variant) (dht.Factory, error)
	// Oracle names the right owners.
	Oracle dht.Ownership
	// MaxHops is the most forwarding hops a lookup may take in a converged overlay
	// of n nodes.
	MaxHops func(n int) int
	// Neighbours is how many neighbours a node keeps by default: so many less one may
	// fail at once, and clusters of 1 to Neighbours+1 nodes are tried one by one.
	Neighbours int
}

// Variant is the settings that the suite varies.
type Variant struct {
	Space      dht.Space
	Recursive  bool
	Neighbours int // kept by each node; 0 for the overlay's default
}

// suite is a run of all tests in one variant.
type suite struct {
	Options
	variant Variant
}

// patience is the virtual time within which an overlay must be right again after
// the last fault.
const patience = 2 * time.Minute

// TestOverlay runs the suite, with iterative and with recursive lookups. With -short
// each test is run in one of these styles, in turn.
func TestOverlay(t *testing.T, opt Options) {
	for i, style := range []string{"iterative", "recursive"} {
		t.Run(style, func(t *testing.T) {
			s := &suite{opt, Variant{Recursive: i == 1}}
			tests := s.tests()
			if s.ringed(t) {
				tests = append(tests, s.ringTests()...)
			}
			for j, test := range tests {
				if !testing.Short() || j%2 == i {
					t.Run(test.name, test.run)
				}
			}
		})
	}
}

type namedTest struct {
	name string
	run  func(*testing.T)
}

func (s *suite) tests() []namedTest {
	return []namedTest{
		{"RefusesBeforeJoining", s.outsiders},
		{"LookupRefuses", s.refusals},
		{"NodeAlone", s.alone},
		{"TableShowsWhatIsHeld", s.tables},
		{"OwnersAgreeWithOracle", s.owners},
		{"NearIsRightWhenSure", s.near},
		{"SmallClusters", s.smallClusters},
		{"HopBound", s.hopBound},
		{"NeighboursCallingEachOther", s.crosstalk},
		{"ConcurrentJoins", s.concurrentJoins},
		{"JoinsDuringLookups", s.joinsDuringLookups},
		{"CrashOfThirtyPercent", s.crash},
		{"OneCrashIsRepairedInSeconds", s.repair},
		{"Leave", s.leave},
		{"RestartIsANewIncarnation", s.restart},
		{"ChurnKeepsInvariant", s.churn},
		{"PartitionAndHeal", s.partition},
		{"LossyLinks", s.lossy},
		{"HeavyLossConverges", s.heavyLoss},
		{"LostConnections", s.lostConnections},
		{"MalformedMessages", s.malformed},
		{"SameSeedSameTrace", s.sameTrace},
	}
}

// ringTests are for overlays that keep a ring.
func (s *suite) ringTests() []namedTest {
	return []namedTest{
		{"WholeListDies", s.wholeList},
	}
}

// ringed says whether the overlay under test keeps a ring.
func (s *suite) ringed(t testing.TB) bool {
	c := s.cluster(t, simnet.Config{})
	_, ok := c.Add().Overlay.(Ringed)
	return ok
}

// cluster makes an empty cluster of the suite's variant.
func (s *suite) cluster(t testing.TB, cfg simnet.Config) *Cluster {
	v := s.variant
	v.Space = cfg.Space
	return s.clusterOf(t, cfg, v)
}

func (s *suite) clusterOf(t testing.TB, cfg simnet.Config, v Variant) *Cluster {
	t.Helper()
	cfg.Seed += baseSeed(t)
	cfg.CheckCodec = true
	factory, err := s.New(v)
	if err != nil {
		t.Fatal(err)
	}
	c := NewCluster(t, cfg, factory, s.Oracle)
	c.check = newInvariants().wellFormed
	return c
}

// baseSeed shifts the seeds of all runs, so that a shell loop can try many.
func baseSeed(t testing.TB) uint64 {
	text := os.Getenv("DHTTEST_SEED")
	if text == "" {
		return 0
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("DHTTEST_SEED: %v", err)
	}
	return seed
}

// grown is a cluster of n nodes that have joined one after another and converged.
func (s *suite) grown(t testing.TB, cfg simnet.Config, n int) *Cluster {
	t.Helper()
	c := s.cluster(t, cfg)
	c.Grow(n)
	c.Converge(patience)
	return c
}

// Grow adds n members, each through the one before it.
func (c *Cluster) Grow(n int) {
	for range n {
		if live := c.Live(); len(live) > 0 {
			c.Add(c.Members[len(c.Members)-1])
		} else {
			c.Add()
		}
		m := c.Members[len(c.Members)-1]
		if !c.Run(patience, func() bool { return m.Joined }) {
			c.tb.Fatalf("seed %d: %s did not join within %v", c.Net.Seed(), m, patience)
		}
	}
}

// Converge runs until the overlay is right by the oracle, at most for limit, and
// fails the test if it is not then.
func (c *Cluster) Converge(limit time.Duration) time.Duration {
	c.tb.Helper()
	began := c.Net.Now()
	var err error
	for c.Net.Now() < began+limit {
		if err = c.Wrong(); err == nil {
			return c.Net.Now() - began
		}
		c.Run(100*time.Millisecond, nil)
	}
	c.tb.Fatalf("seed %d: not right %v after %v: %v", c.Net.Seed(), limit, began, err)
	return 0
}

// Wrong says what in the overlay differs from what full knowledge gives: the ring,
// if the overlay keeps one, else what neighbours of each node are found from it.
func (c *Cluster) Wrong() error {
	for _, m := range c.Members {
		if m.Alive() && !m.Joined && !m.Left {
			return fmt.Errorf("%s has not joined", m)
		}
	}
	live := c.Live()
	if _, ok := live[0].Overlay.(Ringed); ok {
		return wrongRing(live)
	}
	for _, m := range live {
		near, _ := m.Overlay.Near(m.Peer().ID, 3)
		if want := c.Owners(m.Peer().ID, 3); !equal(near, want) {
			return fmt.Errorf("%s has the neighbours %v, not %v", m, near, want)
		}
	}
	return nil
}

func equal(a, b []dht.Peer) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// keys are n identifiers spread over the space.
func (c *Cluster) keys(n int) []dht.ID {
	keys := make([]dht.ID, n)
	for i := range keys {
		keys[i] = c.space.KeyID([]byte(fmt.Sprint("key ", i)))
	}
	return keys
}

// agree looks n keys up, each at another member, and demands the oracle's owners.
func (c *Cluster) agree(n int) {
	c.tb.Helper()
	live := c.Live()
	for i, key := range c.keys(n) {
		m := live[i%len(live)]
		count := 1 + i%4
		route, err := c.Lookup(m, key, count)
		if want := c.Owners(key, count); err != nil || !equal(route.Owners, want) {
			c.tb.Errorf("seed %d: %s found the owners %v of %s (%v), not %v", c.Net.Seed(), m, route.Owners, key, err, want)
		}
		c.checkRoute(m, route)
	}
}

// checkRoute holds a route against the definition of a hop.
func (c *Cluster) checkRoute(m *Member, r dht.Route) {
	c.tb.Helper()
	last := m.Peer()
	for _, h := range r.Hops {
		if h.Peer.Same(last) {
			c.tb.Errorf("lookup of %s at %s: %s moves to itself", r.Key, m, last)
		}
		if why := m.Overlay.Explain(h.Why); why == "" {
			c.tb.Errorf("lookup of %s at %s: no reason for the hop to %s", r.Key, m, h.Peer)
		}
		last = h.Peer
	}
	if len(r.Owners) > 0 && !r.Owners[0].Same(m.Peer()) && !last.Same(r.Owners[0]) {
		c.tb.Errorf("lookup of %s at %s: the hops end at %s, not at the owner %s", r.Key, m, last, r.Owners[0])
	}
}
