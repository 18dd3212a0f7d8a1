package lab

import (
	"testing"
	"time"

	"dyschord/dht/overlays"
)

func mustRun(t testing.TB, s Scenario) Result {
	t.Helper()
	r, err := Run(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What lookups take with perfect tables and random identifiers, in the mean over five
// seeds: forwarding hops, the final move to the owner counted, or rounds.
func TestStaticLookups(t *testing.T) {
	covered := map[string]bool{}
	for _, c := range []struct {
		scenario Scenario
		of       func(Result) Summary
		least    float64 // allowed in the mean
		most     float64
		ever     float64 // allowed for any one lookup; 0: no bound
	}{
		{Scenario{Algorithm: "chord", Nodes: 256}, Result.Hops, 3.34, 3.54, 0},
		{Scenario{Algorithm: "chord", Nodes: 1024}, Result.Hops, 4.37, 4.57, 0},
		{Scenario{Algorithm: "chord", Nodes: 4096}, Result.Hops, 5.37, 5.57, 0},
		{Scenario{Algorithm: "koorde", Nodes: 1024}, Result.Hops, 3, 4.8, 0},
		{Scenario{Algorithm: "kademlia", Nodes: 1024, Owners: 3}, Result.Rounds, 1, 2.2, 4},
	} {
		covered[c.scenario.Algorithm] = true
		s := c.scenario
		if s.Algorithm == "kademlia" {
			s.Overlay.Lookup.Alpha = 3
		}
		seeds, share := 5, time.Duration(1)
		if raceEnabled || testing.Short() {
			// 512 lookups, whose mean has a standard error of 0.06.
			seeds, share = 1, 8
			c.least, c.most = c.least-0.2, c.most+0.2
		}
		mean, ever := 0.0, 0.0
		for seed := range seeds {
			s.Seed, s.LookupEvery, s.Measure = uint64(seed), 5*time.Second, 20480*time.Second/time.Duration(s.Nodes)/share
			r := mustRun(t, s)
			if bad := len(r.Lookups) - r.Count(Correct); bad > 0 {
				t.Errorf("%s, N=%d, seed %d: %d of %d lookups in a static overlay were not correct", s.Algorithm, s.Nodes, seed, bad, len(r.Lookups))
			}
			sum := c.of(r)
			mean, ever = mean+sum.Mean/float64(seeds), max(ever, sum.Most)
		}
		t.Logf("%-8s N=%d: mean %.3f, most %.0f", s.Algorithm, s.Nodes, mean, ever)
		if mean < c.least || mean > c.most || c.ever > 0 && ever > c.ever {
			t.Errorf("%s, N=%d: %.3f in the mean and %.0f at most, want %.2f to %.2f, and %.0f", s.Algorithm, s.Nodes, mean, ever, c.least, c.most, c.ever)
		}
	}
	for _, name := range overlays.Names() {
		if !covered[name] {
			t.Errorf("nothing is expected of algorithm %q", name)
		}
	}
}
