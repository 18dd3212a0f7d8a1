package lab

import (
	"flag"
	"math"
	"testing"
	"time"
)

// go test ./dht/lab -run Yardstick -v -p2psim 3 prints the table of docs/measurements.md.
var p2psimSeeds = flag.Int("p2psim", 0, "seeds for which p2psim's rows are run in full; 0: one seed, and 35 minutes instead of two hours")

// Under p2psim's churn, Chord and Kademlia find as much as its own do for each byte sent,
// and Koorde finds what is asked of it. Figures are means over the seeds.
func TestYardsticks(t *testing.T) {
	for i, row := range Yardsticks(0) {
		got := reach(t, i)
		perMB := PerMegabyte(got.correct, row.Scenario.LookupEvery, got.bytes)
		want := PerMegabyte(row.Correct, row.Scenario.LookupEvery, row.Bytes)
		t.Logf("%-8s %-16s  correct %5.2f %% (p2psim %5.1f)  hops %.2f  latency %4.0f ms (%4d)  %5.2f B/node/s (%4.1f)  correct per MB %3.0f (%3.0f)  encoded %4.0f B/node/s",
			row.Scenario.Algorithm, row.Setting, 100*got.correct, 100*row.Correct, got.hops, got.latency, row.Latency.Milliseconds(),
			got.bytes, row.Bytes, perMB, want, got.encoded)
		switch {
		case row.Scenario.Algorithm != "koorde":
			if perMB < want {
				t.Errorf("%s, %s: %.0f correct lookups per megabyte, p2psim reached %.0f", row.Scenario.Algorithm, row.Setting, perMB, want)
			}
		case row.Scenario.Overlay.Koorde.Stabilize == 18*time.Second:
			if got.correct < 0.995 || got.latency >= 1185 {
				t.Errorf("koorde, %s: %.4f correct in %.0f ms", row.Setting, got.correct, got.latency)
			}
		}
	}
}

// reached is what a row shows here: means over the seeds, times in ms.
type reached struct{ correct, hops, latency, bytes, encoded float64 }

func reach(t *testing.T, row int) (sum reached) {
	seeds := max(1, *p2psimSeeds)
	for seed := range seeds {
		s := Yardsticks(uint64(seed) + 1)[row].Scenario
		switch {
		case *p2psimSeeds > 0:
			s.Bytes = 10
		case raceEnabled || testing.Short():
			s.Nodes, s.WarmUp, s.Measure = 256, 5*time.Minute, 5*time.Minute
		default:
			s.WarmUp, s.Measure = 15*time.Minute, 20*time.Minute
		}
		r := mustRun(t, s)
		part := 1 / float64(seeds)
		total := r.Traffic.Total()
		sum.correct += part * r.Share(Correct)
		sum.hops += part * r.Hops().Mean
		sum.latency += part * 1000 * r.Latency().Mean
		sum.bytes += part * total.P2PSim()
		sum.encoded += part * total.Bytes
	}
	return sum
}

func TestPerMegabyte(t *testing.T) {
	// 0.9 correct lookups in 600 s, in which 1,200 bytes are sent.
	if got := PerMegabyte(0.9, 10*time.Minute, 2); math.Abs(got-750) > 1e-9 {
		t.Errorf("%v correct lookups per megabyte, want 750", got)
	}
}
