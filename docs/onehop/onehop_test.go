package onehop

import (
	"slices"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/dht/dhttest"
	"dyschord/dht/lab"
	"dyschord/dht/lookup"
	"dyschord/net/simnet"
)

func TestConformance(t *testing.T) {
	dhttest.TestOverlay(t, dhttest.Options{
		New: func(v dhttest.Variant) (dht.Factory, error) {
			style := lookup.Iterative
			if v.Recursive {
				style = lookup.Recursive
			}
			return Factory(Config{Space: v.Space, Successors: v.Neighbours, Lookup: lookup.Config{Style: style}})
		},
		Oracle:     dht.Successors,
		MaxHops:    func(int) int { return 1 },
		Neighbours: 8,
	})
}

// run carries out a scenario with this algorithm.
func run(t *testing.T, s lab.Scenario) lab.Result {
	t.Helper()
	factory, err := Factory(Config{})
	if err != nil {
		t.Fatal(err)
	}
	s.Algorithm, s.Custom = "onehop", &lab.Algorithm{Factory: factory, Owners: dht.Successors}
	r, err := lab.Run(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d lookups, %.4f correct, hops %+v, latency %.3f s, traffic %+v",
		len(r.Lookups), r.Share(lab.Correct), r.Hops(), r.Latency().Mean, r.Traffic)
	return r
}

// A lookup is one move, or none where the origin owns the key: once in 256 times.
func TestStaticLookupsAreOneHop(t *testing.T) {
	r := run(t, lab.Scenario{Nodes: 256, LookupEvery: time.Second})
	if r.Share(lab.Correct) < 1 || r.Hops().Mean < 0.99 || r.Hops().Most > 1 {
		t.Errorf("%.4f correct, %+v hops", r.Share(lab.Correct), r.Hops())
	}
}

// Nodes live for an hour on average, and come back as others. Few lookups meet the dead,
// or are a move longer for newcomers that the origin has not heard of.
func TestChurnCostsFewHops(t *testing.T) {
	s := lab.Scenario{Nodes: 128, LookupEvery: 10 * time.Second, WarmUp: time.Minute, Measure: 10 * time.Minute, Bytes: 16}
	s.Churn.Session, s.Churn.Down = time.Hour, 10*time.Minute
	r := run(t, s)
	if r.Share(lab.Correct) < 0.995 || r.Hops().Mean > 1.05 || r.Timeouts().Mean > 0.02 {
		t.Errorf("%.4f correct, %+v hops, %+v time-outs", r.Share(lab.Correct), r.Hops(), r.Timeouts())
	}
}

// Everybody comes to know of each join, restart and death. There are more nodes than
// members in a page.
func TestTablesBecomeComplete(t *testing.T) {
	factory, err := Factory(Config{})
	if err != nil {
		t.Fatal(err)
	}
	c := dhttest.NewCluster(t, simnet.Config{Seed: 1}, factory, dht.Successors)
	c.Grow(3 * page)
	incomplete := func(m *dhttest.Member) bool {
		return !slices.Equal(m.Overlay.(*Node).members, c.Owners(dht.ID{}, len(c.Members)))
	}
	c.Run(15*time.Second, nil)
	if slices.ContainsFunc(c.Live(), incomplete) {
		t.Error("not everybody knows everybody 15 s after the last join")
	}
	for _, m := range c.Members[:5] { // sooner than anybody can notice
		c.Crash(m)
		c.Restart(m, c.Members[page])
	}
	c.Run(30*time.Second, nil)
	if slices.ContainsFunc(c.Live(), incomplete) {
		t.Error("not everybody knows the new incarnations 30 s after the restarts")
	}
	c.Crash(c.Members[page : 2*page]...)
	c.Run(2*time.Minute, nil)
	if slices.ContainsFunc(c.Live(), incomplete) {
		t.Error("not everybody is known to be dead two minutes after a third has crashed")
	}
}
