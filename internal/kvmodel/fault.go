package main

// sync: what was written reaches the disk before anybody waits for it, so that a crash
// leaves any prefix of what is written one thing after the other.
func (m *model) sync(w *world, n int, out func(step, *world)) {
	if m.lazy && w.nodes[n].mem != w.nodes[n].disk {
		v := *w
		v.nodes[n].disk = v.nodes[n].mem
		out(step{kind: synced, node: n}, &v)
	}
}

// crash: a power cut and a restart. What was not waited for is lost, or is not; what
// was in memory is.
func (m *model) crash(w *world, n int, out func(step, *world)) {
	if w.used.crashes == m.crashes {
		return
	}
	m.restart(w, n, step{kind: crashed, node: n}, out)
	if w.nodes[n].mem != w.nodes[n].disk {
		v := *w
		v.nodes[n].disk = v.nodes[n].mem
		m.restart(&v, n, step{kind: crashedLate, node: n}, out)
	}
}

func (m *model) restart(w *world, n int, st step, out func(step, *world)) {
	v := *w
	v.used.crashes++
	d := v.nodes[n].disk
	if m.lacks(promiseForgotten) {
		d.prom = 0
	}
	if m.lacks(acceptedForgotten) {
		d.accAt, d.acc = 0, 0
	}
	if !d.dirty { // load: the log ends at its last record
		for d.last > 0 && d.log[d.last] == 0 {
			d.last--
		}
	}
	v.nodes[n] = node{mem: d, disk: d}
	for i := range v.proposals {
		if p := &v.proposals[i]; int(p.node) == n && p.alive {
			p.abandon()
		}
	}
	if v.read.on && int(v.read.node) == n {
		v.read = read{}
	}
	if m.lacks(restartServes) && m.active(&v, n, d.cfg.epoch()) && d.cfg.primary() == n {
		v.nodes[n].lead = true
	}
	out(st, &v)
}

// rot: a record on a disk becomes unreadable, and perhaps the node notices.
func (m *model) rot(w *world, n int, out func(step, *world)) {
	nd := &w.nodes[n]
	if nd.mem.rotten > 0 && !nd.corrupt {
		m.notice(w, n, out)
	}
	if w.used.rots == m.rots || nd.mem.rotten > 0 {
		return
	}
	for s := uint8(1); s <= nd.disk.last; s++ {
		if nd.mem.log[s] != 0 && nd.mem.log[s] == nd.disk.log[s] {
			v := *w
			v.used.rots++
			v.nodes[n].mem.rotten, v.nodes[n].disk.rotten = s, s
			out(step{kind: rotted, node: n, version: s}, &v)
		}
	}
}

// notice: damaged.
func (m *model) notice(w *world, n int, out func(step, *world)) {
	v := *w
	nd := &v.nodes[n]
	nd.corrupt = true
	nd.loseLead()
	out(step{kind: noticed, node: n, version: nd.mem.rotten}, &v)
}
