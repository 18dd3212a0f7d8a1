package lab

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// churning is 1,000 Chord nodes that live and are down for half an hour on average,
// on a lossy network.
func churning(measure time.Duration) Scenario {
	s := Scenario{Nodes: 1000, Seed: 1, LookupEvery: time.Minute, Measure: measure}
	s.Churn.Session = 30 * time.Minute
	s.Faults.Loss = 0.001
	return s
}

// The hour is 12 million events per run: about 15 s on an idle machine. With the
// race detector, which is an order of magnitude slower, and with -short, only the
// first two minutes are run.
func TestAnHourOfChurnIsRepeatable(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	span := time.Hour
	if raceEnabled || testing.Short() {
		span = 2 * time.Minute
	}
	var first Result
	for procs := 1; procs <= 2; procs++ {
		runtime.GOMAXPROCS(procs)
		start := time.Now()
		r := mustRun(t, churning(span))
		t.Logf("GOMAXPROCS %d: %d events in %v, trace %x, %.1f nodes, %d lookups: %.2f%% correct, %.2f%% incorrect, %.2f%% failed, %+v",
			procs, r.Sim.Events, time.Since(start).Round(time.Millisecond), r.Trace, r.Nodes, len(r.Lookups),
			100*r.Share(Correct), 100*r.Share(Incorrect), 100*r.Share(Failed), r.Hops())
		if procs == 1 {
			first = r
		} else if r.Trace != first.Trace || fmt.Sprint(r.Sim, r.Lookups) != fmt.Sprint(first.Sim, first.Lookups) {
			t.Errorf("trace %x with GOMAXPROCS 1, %x with 2", first.Trace, r.Trace)
		}
	}
	if first.Count(Correct) < 1000 || first.Share(Correct) < 0.95 || first.Sim.Timeouts == 0 || first.Sim.Lost == 0 {
		t.Errorf("%d lookups correct (%.3f), %d time-outs, %d lost", first.Count(Correct), first.Share(Correct), first.Sim.Timeouts, first.Sim.Lost)
	}
	// From all up towards one half, at twice the rate of either: 500 + 500(1-e^-4)/4.
	if span == time.Hour && (first.Nodes < 590 || first.Nodes > 650) {
		t.Errorf("%.0f hosts up on average, want about 623", first.Nodes)
	}
}
