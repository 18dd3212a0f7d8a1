package dhttest

import (
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/net/simnet"
)

// partition: two parts become overlays of their own, and one again when the network
// heals.
func (s *suite) partition(t *testing.T) {
	for seed := range uint64(2) {
		c := s.grown(t, simnet.Config{Seed: 70 + seed}, 24)
		var left, right []*simnet.Node
		for i, m := range c.Members {
			if i%3 == 0 {
				left = append(left, m.Node)
			} else {
				right = append(right, m.Node)
			}
		}
		c.Net.Partition(left, right)
		c.Run(time.Minute, nil)
		if err := c.Wrong(); err == nil {
			t.Fatalf("seed %d: the partition changed nothing", 70+seed)
		}
		c.Net.Heal()
		t.Logf("one overlay %v after the partition healed", c.Converge(patience))
		c.agree(48)
	}
}

// wholeList: all that a node of a ring knows of those after it die at once. It finds the
// nearest that lives, by way of others that stand farther on, which it never names
// meanwhile as sure owners of what lies before them.
func (s *suite) wholeList(t *testing.T) {
	tooFar := 0
	for seed := range uint64(4) {
		c := s.grown(t, simnet.Config{Seed: 65 + seed}, 60)
		live := c.Live()
		x := live[0]
		r := x.Overlay.(Ringed)
		next := live[1+len(r.Successors())].Peer()
		c.Crash(live[1 : 1+len(r.Successors())]...)
		c.Run(30*time.Second, func() bool {
			succ := r.Successors()
			if len(succ) == 0 || !dht.Between(x.Peer().ID, next.ID, succ[0].ID) {
				return false
			}
			tooFar++
			if owners, sure := x.Overlay.Near(next.ID, 3); sure {
				t.Fatalf("seed %d: %s names %v as sure owners of %s", 65+seed, x, names(owners), next)
			}
			return false
		})
		c.Converge(patience)
		c.agree(60)
	}
	if tooFar == 0 {
		t.Error("no list began too far away: nothing was tested")
	}
}

// lossy: one message in twenty is lost, one request in ten arrives twice, some are
// late, and so are activities. Nineteen lookups in twenty are right even so, and the
// overlay is right once that ends.
func (s *suite) lossy(t *testing.T) {
	c := s.grown(t, simnet.Config{Seed: 80}, 30)
	c.Net.SetFaults(simnet.Faults{Loss: 0.05, Duplicate: 0.1, Reorder: 0.02, Late: 0.2})
	for range 5 {
		c.Add(c.Members[0])
	}
	c.Run(time.Minute, nil)
	right := 0
	live := c.Live()
	for i, key := range c.keys(200) {
		route, err := c.Lookup(live[i%len(live)], key, 1)
		if err == nil && equal(route.Owners, c.Owners(key, 1)) {
			right++
		}
	}
	if right < 190 {
		t.Errorf("%d of 200 lookups were right at 5 %% loss", right)
	}
	if st := c.Net.Stats(); st.Lost == 0 || st.Duplicated == 0 || st.Reordered == 0 || st.Delayed == 0 {
		t.Errorf("the faults did not happen: %d lost, %d duplicated, %d reordered, %d delayed", st.Lost, st.Duplicated, st.Reordered, st.Delayed)
	}
	c.Net.SetFaults(simnet.Faults{})
	c.Converge(patience)
	c.agree(35)
}

// heavyLoss: three messages in ten are lost for five minutes, while nodes join and
// crash. Nobody may be lost for good.
func (s *suite) heavyLoss(t *testing.T) {
	c := s.grown(t, simnet.Config{Seed: 90}, 20)
	c.Net.SetFaults(simnet.Faults{Loss: 0.3, Late: 0.2})
	for i := range 5 {
		c.Add(c.Members[i])
		c.Crash(c.Members[10+i])
		c.Run(time.Minute, nil)
	}
	c.Net.SetFaults(simnet.Faults{})
	c.Converge(patience)
	c.agree(40)
}

// lostConnections: one request in a hundred takes the connection with it, with all
// that is on it, and for up to four seconds nothing gets through between the two.
// Nineteen lookups in twenty are right even so, and all are once that ends.
func (s *suite) lostConnections(t *testing.T) {
	c := s.grown(t, simnet.Config{Seed: 95}, 30)
	c.Net.SetFaults(simnet.Faults{Cut: 0.01, Late: 0.2})
	for range 5 {
		c.Add(c.Members[0])
	}
	c.Run(time.Minute, nil)
	right := 0
	live := c.Live()
	for i, key := range c.keys(200) {
		route, err := c.Lookup(live[i%len(live)], key, 1)
		if err == nil && equal(route.Owners, c.Owners(key, 1)) {
			right++
		}
		c.Run(100*time.Millisecond, nil)
	}
	if right < 190 {
		t.Errorf("%d of 200 lookups were right while connections were lost", right)
	}
	if st := c.Net.Stats(); st.Cuts < 30 {
		t.Errorf("%d connections were lost", st.Cuts)
	}
	c.Net.SetFaults(simnet.Faults{})
	c.Run(5*time.Second, nil) // until all connections can be made again
	c.Converge(patience)
	c.agree(35)
}
