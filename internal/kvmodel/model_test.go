package main

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"text/tabwriter"
)

const testLimit = 2_000_000 // states; far more than any scope below has

// long says whether there is time for what takes more than a second or two.
func long() bool { return !testing.Short() && !raceEnabled }

// short leaves a test out where its one goroutine is watched for races.
func short(t *testing.T) {
	if raceEnabled {
		t.Skip("one goroutine, and twenty times slower")
	}
}

func check(t *testing.T, m *model) outcome[world] {
	t.Helper()
	if err := m.validate(); err != nil {
		t.Fatal(err)
	}
	res := explore[world](m, testLimit)
	if res.broken != "" {
		var b bytes.Buffer
		tell(&b, m, res)
		t.Fatalf("after %d states:\n%s", res.states, &b)
	}
	if !res.complete {
		t.Fatalf("more than %d states", testLimit)
	}
	t.Logf("%d states, %d steps deep, %d steps tried, %.1f s", res.states, res.depth, res.edges, res.took.Seconds())
	return res
}

func TestTheProtocolAsBuilt(t *testing.T) {
	fired, done := map[kind]int{}, 0
	for _, s := range studies() {
		if s.large && !long() || raceEnabled && done > 0 {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			done++
			for k, n := range check(t, &model{scope: s.scope, departures: asBuilt()}).fired {
				fired[k] += n
			}
		})
	}
	for k := range kinds {
		if fired[k] == 0 && done == len(studies()) {
			t.Errorf("no scope has a step like this: %s", sentences[k])
		}
	}
}

// Bounds far too wide to visit everything, with all that the model knows of, at random.
func TestRandomWalksBreakNothing(t *testing.T) {
	walks := 3000
	if !long() {
		walks = 100
	}
	m := everything()
	res := roam[world](m, 1, walks, 150)
	if res.broken != "" {
		var b bytes.Buffer
		tell(&b, m, res)
		t.Fatal(b.String())
	}
	t.Logf("%d worlds, walks of up to %d steps, %.1f s", res.states, res.depth, res.took.Seconds())
	for k := range kinds {
		if res.fired[k] == 0 && long() {
			t.Errorf("no walk has a step like this: %s", sentences[k])
		}
	}
}

func TestRandomWalksFindWhatIsWrong(t *testing.T) {
	m := everything()
	m.without = tailKept
	if res := roam[world](m, 1, 3000, 150); res.broken == "" || len(res.trace) == 0 {
		t.Errorf("nothing was found in %d worlds", res.states)
	}
}

// Without any departure, and with each alone, the protocol holds as well. Each makes a
// difference within its scope, or exploring it would prove nothing.
func TestTheDeparturesOneByOne(t *testing.T) {
	short(t)
	grown := scope{nodes: 3, genesis: 1, sizes: []int{3}, epochs: 2, proposals: 1, writes: 2, keys: "aa"}
	for _, c := range []struct {
		name  string
		alone departures
		scope scope
	}{
		{"runs with gaps", departures{sparse: true}, grown},
		{"later configurations", departures{skip: true}, scope{nodes: 3, genesis: 1, sizes: []int{3}, epochs: 3, proposals: 2, writes: 1, keys: "a"}},
		{"index after the copy", departures{lazyIndex: true}, grown},
		{"corrupt copies leave", departures{leaveCorrupt: true}, scope{
			nodes: 3, genesis: 2, sizes: []int{2}, epochs: 2, proposals: 1, writes: 1, keys: "a", rots: 1, reads: 1,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			none := check(t, &model{scope: c.scope})
			alone := check(t, &model{scope: c.scope, departures: c.alone})
			if none.states == alone.states && none.edges == alone.edges {
				t.Error("the departure makes no difference")
			}
		})
	}
}

func TestEveryWrongGuardIsCaught(t *testing.T) {
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "guard\tsteps\tstates\tbroken")
	seen := map[guard]bool{}
	for _, g := range wrongGuards() {
		seen[g.guard] = true
		if g.far() && !long() || raceEnabled && g.scope.proposals+g.scope.writes > 2 {
			continue
		}
		m := &model{scope: g.scope, departures: asBuilt(), without: g.guard}
		res := explore[world](m, testLimit)
		if res.broken == "" {
			t.Errorf("%s: %d states and no invariant broken: %s", g.name, res.states, g.what)
			continue
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\n", g.name, len(res.trace), res.states, res.broken)
	}
	w.Flush()
	t.Logf("\n%s", &table)
	for g := allGuards + 1; g <= droppedByFrozen; g++ {
		if !seen[g] {
			t.Errorf("guard %d has no line in the table", g)
		}
	}
}

// The bounds within which a wrong guard shows must be clean with it in place, or the
// guard proves nothing.
func TestTheScopesOfWrongGuardsAreClean(t *testing.T) {
	short(t)
	var done []string
	for _, g := range wrongGuards() {
		key := fmt.Sprint(g.scope)
		if slices.Contains(done, key) || g.far() {
			continue
		}
		done = append(done, key)
		t.Run(g.name, func(t *testing.T) { check(t, &model{scope: g.scope, departures: asBuilt()}) })
	}
}

// seeker takes a state that it looks for as a fault.
type seeker struct {
	*model
	goal func(*world) bool
}

func (s *seeker) broken(w *world) string {
	if s.goal(w) {
		return "found"
	}
	return ""
}

// Nothing can go wrong where nothing happens: states that must be reachable.
func TestTheModelGetsThere(t *testing.T) {
	short(t)
	growing := scope{nodes: 3, genesis: 1, sizes: []int{1, 3}, epochs: 3, proposals: 2, writes: 2, keys: "aa"}
	for _, c := range []struct {
		name  string
		scope scope
		goal  func(m *model, w *world) bool
	}{
		{"three members commit a write in the second epoch", growing, func(m *model, w *world) bool {
			return w.told[2] > w.decided[2].cut() && w.decided[2].members().count() == 3
		}},
		{"a write is committed in the third epoch", growing, func(_ *model, w *world) bool {
			return w.decided[3] != 0 && w.told[3] > w.decided[3].cut()
		}},
		{"a member of the first epoch serves the third and was never in the second", growing, func(m *model, w *world) bool {
			return m.serving(w, 0) && w.nodes[0].mem.cfg.epoch() == 3 && !w.decided[2].members().has(0)
		}},
		{"a log has a gap that its own index has not made", growing, func(_ *model, w *world) bool {
			d := &w.nodes[1].mem
			return d.last == 2 && d.log[1] == 0 && d.com < 2
		}},
		{"a run leaves out what was superseded", scope{nodes: 3, genesis: 3, epochs: 1, writes: 2, keys: "aa"}, func(_ *model, w *world) bool {
			d := &w.nodes[2].mem
			return d.last == 2 && d.log[1] == 0 && d.com == 0
		}},
		{"an index lags behind a copy", growing, func(m *model, w *world) bool {
			d := &w.nodes[1].mem
			return d.last == 2 && d.com == 0 && w.committed[2] != 0
		}},
		{"a deposed primary still serves, unaware", scope{nodes: 3, genesis: 3, sizes: []int{1}, epochs: 2, proposals: 1, writes: 1, keys: "a"}, func(m *model, w *world) bool {
			return m.serving(w, 0) && m.serving(w, 1)
		}},
		{"a corrupt copy has left, with nobody in its place", scope{nodes: 2, genesis: 2, sizes: []int{2}, epochs: 2, proposals: 1, writes: 1, keys: "a", rots: 1}, func(m *model, w *world) bool {
			return w.nodes[0].corrupt && w.decided[2].members() == set(0).with(1) && m.serving(w, 1) && w.floor[0] == 1
		}},
		{"a write is lost that nobody was told of", scope{nodes: 3, genesis: 3, sizes: []int{3}, epochs: 2, proposals: 1, writes: 1, keys: "a", crashes: 1}, func(m *model, w *world) bool {
			return w.numbered[1] == 1 && w.decided[2] != 0 && w.decided[2].cut() == 0
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &model{scope: c.scope, departures: asBuilt()}
			res := explore[world](&seeker{m, func(w *world) bool { return c.goal(m, w) }}, testLimit)
			if res.broken == "" {
				t.Fatalf("never, in %d states", res.states)
			}
			t.Logf("after %d steps, %d states", len(res.trace), res.states)
		})
	}
}
