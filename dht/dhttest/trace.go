package dhttest

import (
	"runtime"
	"testing"
	"time"

	"dyschord/net/simnet"
)

// sameTrace: equal seeds give equal runs, churn and loss included, however many
// processors there are; another seed gives another run.
func (s *suite) sameTrace(t *testing.T) {
	first := s.storm(t, 110)
	if again := s.storm(t, 110); again != first {
		t.Errorf("the same seed gave the traces %x and %x", first, again)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if single := s.storm(t, 110); single != first {
		t.Errorf("the same seed gave the traces %x and, on one processor, %x", first, single)
	}
	if other := s.storm(t, 111); other == first {
		t.Errorf("two seeds gave the same trace %x", first)
	}
}

// storm is a run with everything in it. It returns the trace.
func (s *suite) storm(t *testing.T, seed uint64) uint64 {
	c := s.cluster(t, simnet.Config{Seed: seed})
	c.Grow(20)
	c.Net.SetFaults(simnet.Faults{Loss: 0.05, Duplicate: 0.05, Reorder: 0.05, Cut: 0.01, Late: 0.1})
	for i := range 10 {
		c.Add(c.Members[i])
		c.Crash(c.Members[5+i])
		c.Run(3*time.Second, nil)
		live := c.Live()
		for j, key := range c.keys(5) {
			_, _ = c.Lookup(live[(i+j)%len(live)], key, 3)
		}
		c.Restart(c.Members[5+i], c.Members[0])
	}
	c.Run(10*time.Second, nil)
	hash := c.Net.TraceHash()
	c.Net.Close()
	return hash
}
