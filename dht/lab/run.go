package lab

// Run carries a scenario out from beginning to end.
func Run(s Scenario) (Result, error) {
	w, err := New(s)
	if err != nil {
		return Result{}, err
	}
	defer w.Close()
	return w.Run(), nil
}

// Run lets the world warm up, measures, and waits for the last lookups. It is called
// once.
func (w *World) Run() Result {
	s := &w.scenario
	w.net.RunFor(s.WarmUp)
	before := w.net.Stats()
	w.tally.alive(w.net.Now(), 0)
	area := w.tally.area
	w.tally.measuring = true
	w.net.RunFor(s.Measure)
	w.tally.measuring = false
	w.tally.alive(w.net.Now(), 0)
	nodeSeconds := w.tally.area - area
	traffic := w.tally.traffic(before, w.net.Stats(), max(nodeSeconds, 1e-9))
	w.net.RunUntil(func() bool { return w.tally.open == 0 }, s.Drain)
	return Result{
		Scenario: *s,
		Lookups:  w.tally.rows,
		Traffic:  traffic,
		Nodes:    nodeSeconds / max(s.Measure.Seconds(), 1e-9),
		Sim:      w.net.Stats(),
		Trace:    w.net.TraceHash(),
	}
}
