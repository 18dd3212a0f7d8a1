package lookup

import (
	"slices"
	"testing"
	"time"

	"dyschord/net/simnet"
)

// distant is the latency of a world where the way to one node and back is longer.
type distant struct {
	node *simnet.Node
	way  time.Duration
}

func (d *distant) Delay(a, b *simnet.Node) time.Duration {
	if d.node != nil && (a == d.node || b == d.node) {
		return d.way
	}
	return 10 * ms
}

// slowScript is a script whose node 1 is so far away.
func slowScript(t *testing.T, k int, cfg Config, way time.Duration) *script {
	far := &distant{way: way}
	s := &script{t: t, net: simnet.New(simnet.Config{Seed: 1, Space: space, Latency: far, CheckCodec: true})}
	t.Cleanup(s.net.Close)
	s.add(k, cfg)
	far.node = s.hosts[1].Node
	return s
}

// An owner that lives counts, though its answer takes longer than HopTimeout: while
// others are asked, and in the end if there are too few of them.
func TestLateAnswerCounts(t *testing.T) {
	for _, row := range []struct {
		way  time.Duration
		n    int
		want []uint64
		took time.Duration
	}{
		{250 * ms, 1, []uint64{10}, 500 * ms},         // while it is asked again
		{250 * ms, 2, []uint64{10, 20}, 500 * ms},     // likewise
		{400 * ms, 2, []uint64{20, 30}, 520 * ms},     // others do, and it has failed twice
		{400 * ms, 3, []uint64{10, 20, 30}, 800 * ms}, // nobody else is left
		{1500 * ms, 3, []uint64{20, 30}, time.Second}, // until the Env gives it up
		{1500 * ms, 2, []uint64{20, 30}, 520 * ms},    // which nobody waits for
	} {
		s := slowScript(t, 4, Config{HopTimeout: 300 * ms}, row.way)
		s.say[0].owners = s.peers(1, 2, 3)
		r, err := s.hosts[0].lookup(t, 5, row.n)
		if err != nil || !slices.Equal(ids(r.Owners), row.want) || r.Took != row.took {
			t.Errorf("%v away, %d wanted: %v after %v, %v, want %v after %v", row.way, row.n, ids(r.Owners), r.Took, err, row.want, row.took)
		}
	}
}

// The same for the only way there is.
func TestLateStepLeadsOn(t *testing.T) {
	s := slowScript(t, 3, Config{HopTimeout: 300 * ms}, 250*ms)
	s.say[0].steps, s.say[1].owners = s.peers(1), s.peers(2)
	if r, err := s.hosts[0].lookup(t, 15, 1); err != nil || !slices.Equal(hopIDs(r), []uint64{10, 20}) || r.Hops[0].Latency != 500*ms {
		t.Errorf("the way is %+v, %v", r.Hops, err)
	}
}

// A node that is given up as an owner and late to say, when asked for the way, that it is
// one has spoken for itself.
func TestLateStepNamesItself(t *testing.T) {
	s := slowScript(t, 3, Config{HopTimeout: 300 * ms, Alpha: 2, Retries: -1}, 400*ms)
	s.say[0].steps = s.peers(2, 1)
	s.say[1].owners, s.say[2].owners = s.peers(1), s.peers(1)
	if r, err := s.hosts[0].lookup(t, 5, 1); err != nil || !slices.Equal(ids(r.Owners), []uint64{10}) || r.Took != 800*ms {
		t.Errorf("%v after %v, %v", ids(r.Owners), r.Took, err)
	}
}

// Late answers are not waited for beyond the deadline; owners that have answered count.
func TestDeadlineEndsTheWaitForLateAnswers(t *testing.T) {
	s := slowScript(t, 4, Config{HopTimeout: 300 * ms, Timeout: 700 * ms}, 400*ms)
	s.say[0].owners = s.peers(1, 2, 3)
	r, err := s.hosts[0].lookup(t, 5, 3)
	if err != nil || !slices.Equal(ids(r.Owners), []uint64{20, 30}) || r.Took != 700*ms {
		t.Errorf("%v after %v, %v", ids(r.Owners), r.Took, err)
	}
}

// A request that was given up may fail for good while its repetition is under way. That
// one counts.
func TestFailureOfAnEarlierTryIsNoFailure(t *testing.T) {
	s := slowScript(t, 3, Config{HopTimeout: 600 * ms}, 250*ms)
	s.say[0].owners = s.peers(1, 2)
	lost := 0
	s.net.SetLink(func(_, to *simnet.Node) bool {
		if to == s.hosts[1].Node {
			lost++
		}
		return lost != 1 || to != s.hosts[1].Node
	})
	r, err := s.hosts[0].lookup(t, 5, 1) // the Env ends the first after a second
	if err != nil || !slices.Equal(ids(r.Owners), []uint64{10}) || r.Took != 1100*ms {
		t.Errorf("%v after %v, %v", ids(r.Owners), r.Took, err)
	}
}
