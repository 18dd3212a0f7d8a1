package main

// write: kv's Node.write. The primary numbers a write, applies it, and sends it.
func (m *model) write(w *world, p int, out func(step, *world)) {
	d := &w.nodes[p].mem
	if !m.serving(w, p) || w.used.writes == m.writes || d.last == maxWrites {
		return
	}
	v := *w
	v.used.writes++
	v.stamp[v.used.writes] = w.known()
	m.number(&v, p, v.used.writes)
	out(step{kind: wrote, node: p, write: v.used.writes, version: d.last + 1}, &v)
}

// known is the last version that was ever committed.
func (w *world) known() uint8 {
	s := uint8(0)
	for s < maxWrites && w.committed[s+1] != 0 {
		s++
	}
	return s
}

// number appends a write to the primary's log.
func (m *model) number(v *world, p int, write uint8) {
	d := &v.nodes[p].mem
	d.last++
	e := d.cfg.epoch()
	d.log[d.last], v.seq[e][d.last], v.numbered[e] = write, write, d.last
	if m.lacks(prunedBeforeCommit) {
		m.prune(d, d.last)
	}
}

// appendRuns: take. A member appends the part that it lacks of a run that the primary
// may have sent.
func (m *model) appendRuns(w *world, n int, out func(step, *world)) {
	d := &w.nodes[n].mem
	e := d.cfg.epoch()
	may := m.active(w, n, e) || m.lacks(appendWhileFrozen) && m.installed(w, n, e)
	if !may || d.cfg.primary() == n || w.nodes[n].copy.epoch > 0 {
		return
	}
	for prev := d.last; prev < w.numbered[e]; prev++ {
		for end := prev + 1; end <= w.numbered[e]; end++ {
			for com := uint8(0); com <= w.told[e]; com++ {
				run := w.seq[e]
				if m.sparse {
					m.thin(&run, com)
				} else if end > prev+1 || com > 0 {
					continue
				}
				if run[end] == 0 {
					continue
				}
				v := *w
				to := &v.nodes[n].mem
				for s := prev + 1; s <= end; s++ {
					to.log[s] = run[s]
				}
				to.last = end
				out(step{kind: appended, node: n, version: end, epoch: e}, &v)
			}
		}
		if !m.lacks(appendOverGap) {
			return
		}
	}
}

// thin takes out of a sequence what is superseded within its first com versions.
func (m *model) thin(s *sequence, com uint8) {
	for i := uint8(1); i <= com; i++ {
		for j := i + 1; s[i] != 0 && j <= com; j++ {
			if s[j] != 0 && m.key(s[i]) == m.key(s[j]) {
				s[i] = 0
			}
		}
	}
}

func (m *model) prune(d *durable, com uint8) {
	if m.sparse {
		m.thin(&d.log, com)
		if d.rotten > 0 && d.log[d.rotten] == 0 {
			d.rotten = 0
		}
	}
}

// advance: the index moves to com, and superseded records go.
func (m *model) advance(d *durable, com uint8) {
	if com > d.com {
		d.com = com
		m.prune(d, com)
	}
}

// index: the end of take. A member moves its index to what the primary told it.
func (m *model) index(w *world, n int, out func(step, *world)) {
	d := &w.nodes[n].mem
	e := d.cfg.epoch()
	com := min(w.told[e], d.last)
	if !m.active(w, n, e) || d.cfg.primary() == n || w.nodes[n].copy.epoch > 0 || com <= d.com {
		return
	}
	v := *w
	m.advance(&v.nodes[n].mem, com)
	out(step{kind: indexed, node: n, version: com}, &v)
}

// tell: onAppend's reply, describe, and the primary's own durably; arrived. A member
// says what it has on its disk.
func (m *model) tell(w *world, n int, out func(step, *world)) {
	d := &w.nodes[n].mem
	e := d.cfg.epoch()
	if e == 0 {
		return
	}
	p := d.cfg.primary()
	may := m.active(w, n, e) || (m.lacks(frozenAcknowledges) || m.lacks(appendWhileFrozen)) && m.installed(w, n, e)
	if m.lacks(olderEpochAcknowledges) && d.next != 0 && d.next.members().has(n) {
		e, p, may = d.next.epoch(), d.next.primary(), true
	}
	lead := &w.nodes[p]
	if !may || !m.serving(w, p) || lead.mem.cfg.epoch() != e || d.last > lead.mem.last || d.last <= max(lead.acked[n], lead.mem.com) {
		return
	}
	v := *w
	early := m.lacks(ackBeforeSync) && n != p || m.lacks(ownAckBeforeSync) && n == p
	if !early {
		v.nodes[n].disk = v.nodes[n].mem
	}
	v.nodes[p].acked[n] = d.last
	out(step{kind: told, node: n, peer: p, version: d.last, epoch: e}, &v)
}

// commit: count and advance at the primary, and the answers to its clients.
func (m *model) commit(w *world, p int, out func(step, *world)) {
	if !m.serving(w, p) {
		return
	}
	nd := &w.nodes[p]
	need := nd.mem.cfg.members().majority()
	if m.lacks(minorityCommits) {
		need--
	}
	com := nd.mem.com
	for s := com + 1; s <= nd.mem.last; s++ {
		acks := 0
		for n := range m.nodes {
			if nd.acked[n] >= s && nd.mem.cfg.members().has(n) {
				acks++
			}
		}
		if acks >= need {
			com = s
		}
	}
	if com == nd.mem.com {
		return
	}
	v := *w
	nd = &v.nodes[p]
	e := nd.mem.cfg.epoch()
	v.commit(e, com)
	m.acknowledge(&v, e, nd.mem.com, com)
	m.advance(&nd.mem, com)
	v.told[e] = com
	out(step{kind: committed, node: p, version: com, epoch: e}, &v)
}

// acknowledge tells clients that their writes in (from, to] were applied.
func (m *model) acknowledge(w *world, epoch, from, to uint8) {
	for s := from + 1; s <= to; s++ {
		k := m.key(w.seq[epoch][s])
		w.floor[k] = max(w.floor[k], s)
	}
}
