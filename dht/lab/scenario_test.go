package lab

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"dyschord/chord"
	"dyschord/dht"
	"dyschord/net/simnet"
)

func TestScenarioIsValidated(t *testing.T) {
	for want, s := range map[string]Scenario{
		"nodes -1":         {Nodes: -1},
		"nodes 2000000":    {Nodes: 2_000_000},
		"room for 16":      withBits(Scenario{Nodes: 17}, 4),
		"owners 33":        {Owners: 33},
		"join interval":    {JoinEvery: -1},
		"session":          {Churn: Churn{Session: -1}},
		"measured time":    {Measure: -time.Second},
		`"carrier pigeon"`: {Algorithm: "carrier pigeon"},
		"Loss":             {Faults: simnet.Faults{Loss: 2}},
		"identifier width": withBits(Scenario{}, 3),
	} {
		if _, err := New(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want an error that says %s", s, err, want)
		}
	}
	if err := (Scenario{}).Validate(); err != nil {
		t.Error(err)
	}
}

func withBits(s Scenario, bits int) Scenario {
	s.Overlay.Space.Bits = bits
	return s
}

func TestOracleFollowsMembership(t *testing.T) {
	o := oracle{rule: dht.Successors}
	peer := func(id uint64) dht.Peer { return dht.Peer{ID: dht.NewID(0, id), Ref: uint32(id), Inc: 1} }
	for _, id := range []uint64{20, 10, 30, 20} {
		o.add(peer(id))
	}
	for _, c := range []struct {
		key   uint64
		n     int
		named []uint64
		want  bool
	}{
		{5, 1, []uint64{10}, true},
		{10, 1, []uint64{10}, true},
		{11, 2, []uint64{20, 30}, true},
		{11, 2, []uint64{30, 20}, false},
		{31, 2, []uint64{10, 20}, true},
		{25, 5, []uint64{30, 10, 20}, true},
		{5, 1, []uint64{20}, false},
		{5, 1, nil, false},
	} {
		var named []dht.Peer
		for _, id := range c.named {
			named = append(named, peer(id))
		}
		if got := o.right(dht.NewID(0, c.key), c.n, named); got != c.want {
			t.Errorf("key %d, %d owners: %v is right: %v", c.key, c.n, c.named, got)
		}
	}
	o.remove(peer(30))
	o.remove(peer(30))
	if !o.right(dht.NewID(0, 25), 1, []dht.Peer{peer(10)}) {
		t.Error("a member that is gone still owns keys")
	}
}

func TestSummary(t *testing.T) {
	values := make([]float64, 0, 200)
	for i := 200; i > 0; i-- {
		values = append(values, float64(i))
	}
	if got, want := Summarize(values), (Summary{200, 100.5, 100, 180, 198, 200}); got != want {
		t.Errorf("1 to 200: %+v, want %+v", got, want)
	}
	if got := Summarize([]float64{7}); got != (Summary{1, 7, 7, 7, 7, 7}) {
		t.Errorf("one value: %+v", got)
	}
	if got := Summarize(nil); got != (Summary{}) {
		t.Errorf("none: %+v", got)
	}
}

func TestJoinedOverlayFindsEverything(t *testing.T) {
	r := mustRun(t, Scenario{Nodes: 60, Seed: 3, JoinEvery: 2 * time.Second, WarmUp: 5 * time.Minute, Owners: 3, CheckCodec: true})
	if r.Nodes != 60 || r.Count(Correct) < 200 || r.Share(Correct) != 1 {
		t.Errorf("%.1f nodes, %d lookups, %.3f correct", r.Nodes, len(r.Lookups), r.Share(Correct))
	}
}

func TestHostsComeBackUnderTheirIdentity(t *testing.T) {
	s := Scenario{Nodes: 50, Seed: 4, Measure: 20 * time.Minute}
	s.Churn = Churn{Session: 5 * time.Minute, Down: time.Minute, SameID: true}
	w, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r := w.Run()
	again := 0
	for _, nd := range w.Net().Nodes() {
		if nd.Peer().Inc > 1 {
			again++
		}
	}
	if w.tally.open != 0 || len(r.Lookups) < 3000 {
		t.Errorf("%d lookups ended, %d did not", len(r.Lookups), w.tally.open)
	}
	if len(w.Net().Nodes()) != 50 || again < 40 || r.Share(Correct) < 0.9 {
		t.Errorf("%d nodes, %d restarted, %.3f correct", len(w.Net().Nodes()), again, r.Share(Correct))
	}
	if want := 50 * 5.0 / 6; math.Abs(r.Nodes-want) > 5 {
		t.Errorf("%.1f nodes up on average, want about %.1f", r.Nodes, want)
	}
}

func TestSourcesAreApartAndExponential(t *testing.T) {
	var first [2]time.Duration
	var sum, squares float64
	for host := range 2 {
		var s source
		s.seed(1, streamKeys, host)
		first[host] = s.exp(time.Second)
		for range 20_000 {
			x := s.exp(time.Second).Seconds()
			sum, squares = sum+x/40_000, squares+x*x/40_000
		}
	}
	// Mean 1 and mean square 2; five standard errors.
	if first[0] == first[1] || math.Abs(sum-1) > 0.025 || math.Abs(squares-2) > 0.12 {
		t.Errorf("first draws %v, mean %.3f, mean square %.3f", first, sum, squares)
	}
	var a, b source
	a.seed(1, streamKeys, 0)
	b.seed(1, streamSessions, 0)
	if a.id(dht.Space{}) == b.id(dht.Space{}) {
		t.Error("two purposes draw the same")
	}
}

// Sessions, births and keys follow from the seed alone: what an overlay does, here
// how often it stabilizes, does not shift them.
func TestRunsArePaired(t *testing.T) {
	history := func(stabilize time.Duration) string {
		var trace bytes.Buffer
		s := Scenario{Nodes: 30, Seed: 5, Measure: 30 * time.Minute, LookupEvery: time.Minute, Trace: &trace}
		s.Churn.Session = 10 * time.Minute
		s.Overlay.Chord.Stabilize = stabilize
		r := mustRun(t, s)
		var lives strings.Builder
		for line := range strings.Lines(trace.String()) {
			if strings.Contains(line, " start ") || strings.Contains(line, " crash ") {
				lives.WriteString(line)
			}
		}
		if r.Share(Correct) < 0.9 {
			t.Errorf("%.3f correct", r.Share(Correct))
		}
		return lives.String()
	}
	a, b := history(time.Second), history(2*time.Second)
	if a != b || strings.Count(a, "crash") < 50 {
		t.Error("another stabilize interval, other sessions")
	}
}

func TestTrafficIsDividedByPurpose(t *testing.T) {
	s := Scenario{Nodes: 100, Seed: 6, LookupEvery: -1, Bytes: 1, Identifiers: true, WarmUp: time.Minute}
	idle := mustRun(t, s)
	if len(idle.Lookups) != 0 || idle.Traffic.Lookup.Messages != 0 || idle.Traffic.Maintenance.Messages < 1 || idle.Traffic.Maintenance.Bytes < 50 {
		t.Errorf("without lookups: %+v", idle.Traffic)
	}
	s.LookupEvery = 2 * time.Second
	busy := mustRun(t, s)
	// Each lookup sends Messages requests and receives as many replies.
	want := 2 * busy.Messages().Mean / 2
	if got := busy.Traffic.Lookup.Messages; math.Abs(got-want) > 0.1*want || busy.Traffic.Lookup.Bytes < 100 {
		t.Errorf("a lookup every two seconds: %.2f messages of lookups per node and second, want about %.2f; %+v", got, want, busy.Traffic)
	}
	// Without lookups nearly all is reads of a successor's predecessor and list of 8, which
	// is 9 identifiers for two messages, and confirmed fingers, a few more.
	if m := idle.Traffic.Maintenance; m.Identifiers < 4*m.Messages || m.Identifiers > 5*m.Messages || m.P2PSim() != 20*m.Messages+4*m.Identifiers {
		t.Errorf("%.2f identifiers in %.2f messages per node and second; in p2psim's bytes %.1f", m.Identifiers, m.Messages, m.P2PSim())
	}
	if a, b := idle.Traffic.Maintenance.Messages, busy.Traffic.Maintenance.Messages; math.Abs(a-b) > 0.15*a {
		t.Errorf("maintenance of %.2f messages, with lookups %.2f", a, b)
	}
	if all := busy.Traffic.Total(); math.Abs(all.Bytes-busy.Traffic.Maintenance.Bytes-busy.Traffic.Lookup.Bytes) > 1e-6 || busy.Traffic.Data != (Load{}) {
		t.Errorf("traffic of %+v in all, data traffic %+v without a store", all, busy.Traffic.Data)
	}
}

// An algorithm of one's own runs beside those of the table, and is judged by its own
// definition of ownership.
func TestCustomAlgorithm(t *testing.T) {
	factory, err := chord.Factory(chord.Config{})
	if err != nil {
		t.Fatal(err)
	}
	last := func(members []dht.Peer, key dht.ID, n int) []dht.Peer { return members[len(members)-1:] }
	for share, owners := range map[float64]dht.Ownership{1: dht.Successors, 0.1: last} {
		s := Scenario{Algorithm: "mine", Custom: &Algorithm{factory, owners}, Nodes: 30, LookupEvery: time.Second, Measure: 10 * time.Second}
		r := mustRun(t, s)
		if len(r.Lookups) < 100 || r.Share(Correct) > share || share == 1 && r.Share(Correct) < 1 {
			t.Errorf("%d lookups, %.3f of them correct, want %.1f", len(r.Lookups), r.Share(Correct), share)
		}
	}
	if _, err := New(Scenario{Custom: &Algorithm{Factory: factory}}); err == nil || !strings.Contains(err.Error(), "ownership") {
		t.Errorf("an algorithm without ownership: %v", err)
	}
}
