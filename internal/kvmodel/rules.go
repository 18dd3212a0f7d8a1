package main

// departures are the points in which package kv does other than the protocol that it
// began from; each can be switched off.
type departures struct {
	// sparse: a run carries any number of records and leaves out those superseded by
	// committed ones, which the log has lost; a member takes the part that it lacks.
	// Else a run is one record, and nothing is ever pruned.
	sparse bool
	// skip: a member may hear of a later configuration than the one that it has to
	// install, and then installs that. Else each in turn.
	skip bool
	// lazyIndex: the index of a copied slot moves some time after the copy is complete,
	// or never. Else with it.
	lazyIndex bool
	// leaveCorrupt: a node that has found a record corrupt proposes a configuration
	// without itself, and with nobody in its place. Else it goes on proposing itself.
	leaveCorrupt bool
}

// asBuilt is package kv.
func asBuilt() departures { return departures{true, true, true, true} }

// model is the protocol within bounds: a system whose states are worlds.
type model struct {
	scope
	departures
	without guard
}

// lacks says whether a guard is left out.
func (m *model) lacks(g guard) bool { return m.without == g }

// installed says whether node n is a member in epoch e, frozen or not.
func (m *model) installed(w *world, n int, e uint8) bool {
	d := &w.nodes[n].mem
	return e > 0 && d.cfg.epoch() == e && d.tag == e && !d.dirty && d.cfg.members().has(n)
}

// active says whether node n knows of nothing that would end epoch e.
func (m *model) active(w *world, n int, e uint8) bool {
	d := &w.nodes[n].mem
	return m.installed(w, n, e) && d.prom == 0 && d.accAt == 0 && d.next == 0
}

// serving says whether node n may number writes and answer reads.
func (m *model) serving(w *world, n int) bool {
	nd := &w.nodes[n]
	return nd.lead && !nd.corrupt && m.active(w, n, nd.mem.cfg.epoch())
}

// key is the key of a write.
func (m *model) key(write uint8) int { return int(m.keys[write-1] - 'a') }

// start is a founded slot whose first primary serves, and nodes that know nothing.
func (m *model) start() world {
	var w world
	founders := set(1)<<m.genesis - 1
	first := newValue(1, founders, 0, 0)
	for n := range m.genesis - m.late {
		d := durable{cfg: first, tag: 1}
		w.nodes[n] = node{mem: d, disk: d}
	}
	w.nodes[0].lead = true
	w.decided[1], w.announced[1] = first, first
	return w
}

// next tries every step.
func (m *model) next(w *world, out func(step, *world)) {
	for n := range m.nodes {
		m.write(w, n, out)
		m.retry(w, n, out)
		m.appendRuns(w, n, out)
		m.index(w, n, out)
		m.tell(w, n, out)
		m.commit(w, n, out)
		m.learn(w, n, out)
		m.install(w, n, out)
		m.copies(w, n, out)
		m.propose(w, n, out)
		m.sweep(w, n, out)
		m.sync(w, n, out)
		m.crash(w, n, out)
		m.rot(w, n, out)
	}
	for i := range w.proposals {
		if w.proposals[i].epoch > 0 {
			m.prepare(w, i, out)
			m.adopt(w, i, out)
			m.choose(w, i, out)
			m.stage(w, i, out)
			m.sendAccept(w, i, out)
			m.accept(w, i, out)
			m.announce(w, i, out)
		}
	}
	m.reading(w, out)
}
