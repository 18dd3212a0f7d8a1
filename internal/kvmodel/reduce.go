package main

// reduce clears what no later step can read, so that worlds that differ in it alone
// are one. Each rule says why that is so.
func (m *model) reduce(w *world) {
	for n := range m.nodes {
		m.reduceNode(w, n)
	}
	if w.read.on && !m.serving(w, int(w.read.node)) {
		w.read = read{} // it will not serve this epoch again
	}
	kept := 0
	for _, p := range w.proposals {
		if p.epoch > 0 && m.matters(w, &p) {
			w.proposals[kept] = p
			kept++
		}
	}
	for ; kept < maxProposals; kept++ {
		w.proposals[kept] = proposal{}
	}
	for e := uint8(1); e < m.epochs; e++ {
		m.rank(w, e)
	}
	if w.used.retries == m.retries {
		w.stamp = sequence{} // no request will arrive again
	}
}

func (m *model) reduceNode(w *world, n int) {
	nd := &w.nodes[n]
	if w.used.crashes == m.crashes {
		nd.disk = nd.mem // nothing will be lost
	}
	if !m.serving(w, n) {
		nd.acked, nd.window, nd.kept = [maxNodes]uint8{}, 0, sequence{} // it will not use them
	}
	if w.used.retries == m.retries {
		nd.window, nd.kept = 0, sequence{}
	}
	for i, a := range nd.acked {
		if a <= nd.mem.com {
			nd.acked[i] = 0 // it tells nothing new
		}
	}
	if m.lacks(acceptedIsDecided) || m.lacks(neverInstalledPromises) {
		return
	}
	for _, d := range [...]*durable{&nd.mem, &nd.disk} {
		if d.next != 0 { // it takes no part in the end of cfg any more
			d.prom, d.accAt, d.acc = 0, 0, 0
		}
	}
}

// matters says whether a proposal can still move anybody.
func (m *model) matters(w *world, p *proposal) bool {
	if p.alive && m.serves(w, p) {
		return true
	}
	p.abandon()
	for n := range m.nodes {
		if !w.decided[p.epoch].members().has(n) {
			continue
		}
		for _, d := range [...]*durable{&w.nodes[n].mem, &w.nodes[n].disk} {
			gone := d.cfg.epoch() > p.epoch || d.cfg.epoch() == p.epoch && d.next != 0
			if p.phase != accepting {
				gone = gone || d.cfg.epoch() == p.epoch && d.prom >= p.ballot
			} else {
				gone = gone || d.cfg.epoch() == p.epoch && d.prom > p.ballot && !m.lacks(lowerBallotAccepted)
			}
			if !gone || m.lacks(neverInstalledPromises) {
				return true
			}
		}
	}
	return false
}

// serves says whether a proposer can still go on with a proposal.
func (m *model) serves(w *world, p *proposal) bool {
	if p.phase == accepting {
		return w.announced[p.epoch+1] == 0 // it counts the answers in any case
	}
	d := &w.nodes[p.node].mem
	return d.cfg.epoch() == p.epoch && d.next == 0 && d.prom == p.ballot
}

// rank renames the ballots of an epoch to their places: only their order is ever
// looked at.
func (m *model) rank(w *world, e uint8) {
	var used [16]bool
	each := func(f func(*uint8)) {
		for i := range w.proposals {
			if p := &w.proposals[i]; p.epoch == e {
				f(&p.ballot)
				f(&p.best)
			}
		}
		for i := range w.nodes[:m.nodes] {
			for _, d := range [...]*durable{&w.nodes[i].mem, &w.nodes[i].disk} {
				if d.cfg.epoch() == e {
					f(&d.prom)
					f(&d.accAt)
				}
			}
		}
	}
	top := uint8(0)
	each(func(b *uint8) { used[*b] = true; top = max(top, *b) })
	var to [16]uint8
	next := uint8(0)
	for b := uint8(1); b <= top; b++ {
		if used[b] {
			next++
			to[b] = next
		}
	}
	if next < top {
		each(func(b *uint8) { *b = to[*b] })
	}
}
