package lab

import (
	"math"
	"testing"
	"time"
)

func mustRun(t testing.TB, s Scenario) Result {
	t.Helper()
	r, err := Run(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Mean forwarding hops of Chord with perfect tables, random identifiers and 8
// successors used in routing, the final move to the owner counted.
func TestChordStaticHops(t *testing.T) {
	for nodes, want := range map[int]float64{256: 3.44, 1024: 4.47} {
		var sum float64
		seeds, measure := 4, time.Minute
		if raceEnabled || testing.Short() {
			seeds, measure = 1, 10*time.Second
		}
		for seed := range seeds {
			r := mustRun(t, Scenario{Nodes: nodes, Seed: uint64(seed), LookupEvery: 5 * time.Second, Measure: measure})
			if bad := len(r.Lookups) - r.Count(Correct); bad > 0 {
				t.Errorf("N=%d, seed %d: %d of %d lookups in a static overlay were not correct", nodes, seed, bad, len(r.Lookups))
			}
			hops := r.Hops()
			t.Logf("N=%d seed=%d: %+v, latency %.3fs, rounds %.2f, messages %.2f", nodes, seed, hops, r.Latency().Mean, r.Rounds().Mean, r.Messages().Mean)
			sum += hops.Mean / float64(seeds)
		}
		if math.Abs(sum-want) > 0.1 {
			t.Errorf("N=%d: %.3f hops on average, want %.2f ± 0.1", nodes, sum, want)
		}
	}
}
