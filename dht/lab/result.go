package lab

import (
	"cmp"
	"slices"
	"time"

	"dyschord/dht"
	"dyschord/net/simnet"
)

// Result is what a scenario showed.
type Result struct {
	Scenario Scenario // with its defaults
	// Lookups are those begun in measured time, in the order in which they ended.
	Lookups []Lookup
	// Traffic is what a node sent per second of its life, in measured time.
	Traffic Traffic
	// Nodes is the mean number of nodes running in measured time.
	Nodes float64
	// Sim counts what the simulator did in the whole run, and Trace is its hash:
	// equal for equal runs.
	Sim   simnet.Stats
	Trace uint64
}

// Traffic is messages and bytes per node and second, requests and replies together.
// Lookups that an overlay makes for its own tables are maintenance: messages of
// lookups are divided by the requests that each sort of lookup sent. Bytes are 0
// unless Scenario.Bytes is set, and so are identifiers without Scenario.Identifiers.
type Traffic struct {
	Maintenance, Lookup, Data Load
}

// Total is the traffic of all classes.
func (t Traffic) Total() Load {
	sum := t.Maintenance
	sum.add(t.Lookup, 1)
	sum.add(t.Data, 1)
	return sum
}

// Load is the traffic of one class.
type Load struct{ Messages, Bytes, Identifiers float64 }

// Count returns how many lookups had an outcome.
func (r Result) Count(o Outcome) (n int) {
	for i := range r.Lookups {
		if r.Lookups[i].Outcome == o {
			n++
		}
	}
	return n
}

// Share returns the share of an outcome among the lookups that were judged.
func (r Result) Share(o Outcome) float64 {
	return float64(r.Count(o)) / float64(max(1, len(r.Lookups)-r.Count(Cut)))
}

// Hops summarizes the forwarding hops of the correct lookups, as dht.Route defines
// them.
func (r Result) Hops() Summary { return r.summary(func(l *Lookup) float64 { return float64(l.Hops) }) }

// Rounds summarizes how often the origins of correct lookups waited.
func (r Result) Rounds() Summary {
	return r.summary(func(l *Lookup) float64 { return float64(l.Rounds) })
}

// Messages summarizes the requests of the correct lookups.
func (r Result) Messages() Summary {
	return r.summary(func(l *Lookup) float64 { return float64(l.Messages) })
}

// Timeouts summarizes the time-outs that correct lookups met.
func (r Result) Timeouts() Summary {
	return r.summary(func(l *Lookup) float64 { return float64(l.Timeouts) })
}

// Latency summarizes how long the correct lookups took, in seconds.
func (r Result) Latency() Summary {
	return r.summary(func(l *Lookup) float64 { return l.Took.Seconds() })
}

func (r Result) summary(of func(*Lookup) float64) Summary {
	var values []float64
	for i := range r.Lookups {
		if r.Lookups[i].Outcome == Correct {
			values = append(values, of(&r.Lookups[i]))
		}
	}
	return Summarize(values)
}

// Summary describes a sample.
type Summary struct {
	N                         int
	Mean, P50, P90, P99, Most float64
}

// Summarize sorts values and describes them. Percentiles are values of the sample
// (nearest rank).
func Summarize(values []float64) Summary {
	s := Summary{N: len(values)}
	if s.N == 0 {
		return s
	}
	slices.SortFunc(values, cmp.Compare[float64])
	for _, v := range values {
		s.Mean += v
	}
	s.Mean /= float64(s.N)
	rank := func(percent int) float64 { return values[(s.N*percent+99)/100-1] }
	s.P50, s.P90, s.P99, s.Most = rank(50), rank(90), rank(99), values[s.N-1]
	return s
}

// tally gathers what a run shows.
type tally struct {
	measuring bool
	open      int // measured lookups under way
	rows      []Lookup
	asked     [2]uint64 // requests of lookups that ended in measured time: users', upkeep's

	nodes int // running now
	since time.Duration
	area  float64 // node-seconds until since
}

// observe is the consumer of the nodes' events.
func (t *tally) observe(_ *simnet.Node, ev dht.Event) {
	if done, ok := ev.(dht.LookupDone); ok && t.measuring {
		sort := 0
		if done.Upkeep {
			sort = 1
		}
		t.asked[sort] += uint64(done.Route.Messages)
	}
}

func (t *tally) close(row Lookup) {
	t.open--
	t.rows = append(t.rows, row)
}

// alive notes that so many nodes more, or fewer, run from now on.
func (t *tally) alive(now time.Duration, change int) {
	t.area += float64(t.nodes) * (now - t.since).Seconds()
	t.since = now
	t.nodes += change
}

// traffic divides what was sent in measured time by node-seconds.
func (t *tally) traffic(before, after simnet.Stats, nodeSeconds float64) Traffic {
	var all Traffic
	earlier := map[uint16]simnet.KindStats{}
	for _, k := range before.Kinds {
		earlier[k.Code] = k
	}
	for _, k := range after.Kinds {
		was := earlier[k.Code]
		sent := Load{float64(k.Sent - was.Sent), float64(k.Bytes - was.Bytes), float64(k.Identifiers - was.Identifiers)}
		all.class(k.Code).add(sent, 1/nodeSeconds)
	}
	upkeep := float64(t.asked[1]) / float64(max(1, t.asked[0]+t.asked[1]))
	lookups := all.Lookup
	all.Maintenance.add(lookups, upkeep)
	all.Lookup.add(lookups, -upkeep)
	return all
}

// class sorts a message type by the ranges that dht.Message gives out.
func (t *Traffic) class(code uint16) *Load {
	switch {
	case code >= 256:
		return &t.Data
	case code >= 16 && code < 32:
		return &t.Lookup
	default:
		return &t.Maintenance
	}
}

func (l *Load) add(more Load, factor float64) {
	l.Messages += more.Messages * factor
	l.Bytes += more.Bytes * factor
	l.Identifiers += more.Identifiers * factor
}
