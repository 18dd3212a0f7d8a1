package main

// hear: learn. Duties in earlier epochs end; writes up to the cut are answered.
func (m *model) hear(w *world, n int, c value) {
	nd := &w.nodes[n]
	if nd.lead && c.epoch() == nd.mem.cfg.epoch()+1 {
		to := min(c.cut(), nd.mem.last)
		if m.lacks(tailAnswered) {
			to = nd.mem.last
		}
		m.acknowledge(w, nd.mem.cfg.epoch(), nd.mem.com, to)
	}
	nd.mem.next = c
	m.settle(nd)
	nd.asked = 0
	nd.loseLead()
}

func (nd *node) loseLead() {
	nd.lead, nd.acked, nd.window, nd.kept = false, [maxNodes]uint8{}, 0, sequence{}
}

// settle: a change that nobody waits for is on the disk soon.
func (m *model) settle(nd *node) {
	if !m.lazy {
		nd.disk = nd.mem
	}
}

// learn: a node hears of a configuration, from whoever tells it.
func (m *model) learn(w *world, n int, out func(step, *world)) {
	d := &w.nodes[n].mem
	for e := uint8(1); e <= m.epochs; e++ {
		c := w.announced[e]
		switch {
		case c == 0 || d.cfg == 0 && !c.members().has(n):
			continue
		case m.lacks(reinstalled) && e == d.cfg.epoch() && d.next == 0:
		case e <= d.newest().epoch():
			continue
		case !m.skip && d.next.members().has(n):
			continue
		}
		v := *w
		m.hear(&v, n, c)
		out(step{kind: learnt, node: n, value: c}, &v)
	}
}

// install: the log is brought to the cut, which is committed, and the epoch begins.
func (m *model) install(w *world, n int, out func(step, *world)) {
	nd := &w.nodes[n]
	c := nd.mem.next
	ended := c.epoch() - 1
	if !c.members().has(n) || nd.copy.epoch > 0 || nd.mem.tag > c.epoch() {
		return
	}
	enough := nd.mem.holds(ended, c.cut()) || m.lacks(installedWithoutCopy) || m.lacks(reinstalled) ||
		m.lacks(olderLogInstalled) && !nd.mem.dirty && nd.mem.last >= c.cut()
	if !enough {
		return
	}
	v := *w
	nd = &v.nodes[n]
	d := &nd.mem
	tail := d.log
	skipped := d.cfg != 0 && d.cfg.epoch() < ended
	m.advance(d, min(c.cut(), d.last))
	if (d.tag == ended || m.lacks(reinstalled)) && !m.lacks(tailKept) && d.last > c.cut() {
		d.truncate(c.cut())
		d.last = c.cut()
	}
	d.cfg, d.next, d.acc, d.accAt, d.prom, d.tag = c, 0, 0, 0, 0, c.epoch()
	if !m.lacks(leadBeforeInstall) {
		nd.disk = nd.mem
	}
	nd.asked = 0
	st := step{kind: installed, node: n, value: c}
	if skipped {
		st.kind = installedLater
	}
	if c.primary() == n {
		nd.lead = true
		nd.acked[n] = d.last
		nd.window = d.gap()
		if m.lacks(requestsKept) {
			for s := d.last + 1; s <= maxWrites; s++ {
				nd.kept[s] = tail[s]
			}
		}
	}
	out(st, &v)
}

// sweep: a node drops what it holds of a slot that it is no member of, once enough
// others have said that nobody can need it.
func (m *model) sweep(w *world, n int, out func(step, *world)) {
	nd := &w.nodes[n]
	d := &nd.mem
	c := d.next
	if !m.sweeps || c == 0 || c.members().has(n) || d.tag == 0 || d.tag > c.epoch() || nd.copy.epoch > 0 {
		return
	}
	for y := range m.nodes {
		said := m.active(w, y, c.epoch()) || m.lacks(droppedByFrozen) && m.installed(w, y, c.epoch())
		if d.tag < c.epoch() {
			said = m.installed(w, y, w.nodes[y].mem.cfg.epoch()) && w.nodes[y].mem.cfg.epoch() >= c.epoch()
		}
		if c.members().has(y) && !nd.asked.has(y) && said {
			v := *w
			v.nodes[n].asked = nd.asked.with(y)
			out(step{kind: answered, node: y, peer: n, epoch: c.epoch()}, &v)
		}
	}
	if nd.asked.carries(c.members()) || m.lacks(droppedTooEarly) {
		v := *w
		to := &v.nodes[n]
		to.mem.truncate(0)
		to.mem.tag, to.mem.com, to.mem.last, to.mem.dirty, to.mem.base = 0, 0, 0, false, 0
		to.corrupt, to.asked = false, 0
		m.settle(to)
		out(step{kind: dropped, node: n, epoch: c.epoch()}, &v)
	}
}
