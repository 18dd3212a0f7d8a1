package main

import "math/bits"

// propose: the beginning of propose and prepareAll, to the proposer's own promise. A
// ballot is a place among those of the epoch; in package kv the proposer's identity
// makes it unique, here that nobody else has taken the place.
func (m *model) propose(w *world, n int, out func(step, *world)) {
	d := &w.nodes[n].mem
	e := d.cfg.epoch()
	if w.used.proposals == m.proposals || e >= m.epochs || !m.installed(w, n, e) || d.next != 0 {
		return
	}
	top := uint8(0)
	for i := range w.proposals {
		if p := &w.proposals[i]; p.epoch == e {
			top = max(top, p.ballot)
		}
	}
	for i := range w.nodes { // a ballot whose messages do not matter any more
		if d := &w.nodes[i].mem; d.cfg.epoch() == e {
			top = max(top, d.prom, d.accAt)
		}
	}
	for b := d.prom + 1; b <= top+1; b++ {
		v := *w
		v.insertBallot(e, b)
		m.begin(&v, n, proposal{epoch: e, ballot: b, node: uint8(n), alive: true}, out)
	}
}

func (m *model) begin(v *world, n int, p proposal, out func(step, *world)) {
	v.used.proposals++
	for i := range v.proposals {
		if q := &v.proposals[i]; int(q.node) == n && q.alive {
			q.abandon()
		}
	}
	nd := &v.nodes[n]
	nd.mem.prom = p.ballot
	if !m.lacks(proposerBeforeSync) {
		nd.disk = nd.mem
	}
	p.cut = nd.mem.last
	m.count(&p, n, &nd.mem)
	v.addProposal(p)
	out(step{kind: proposed, node: n, epoch: p.epoch, ballot: p.ballot}, v)
}

// abandon leaves the messages that were sent.
func (p *proposal) abandon() {
	p.alive = false
	if p.phase != accepting {
		*p = proposal{epoch: p.epoch, ballot: p.ballot, node: p.node}
	}
}

// insertBallot makes room for ballot b in the order of epoch e.
func (w *world) insertBallot(e, b uint8) {
	shift := func(x *uint8) {
		if *x >= b {
			*x++
		}
	}
	for i := range w.proposals {
		if p := &w.proposals[i]; p.epoch == e {
			shift(&p.ballot)
			shift(&p.best)
		}
	}
	for i := range w.nodes {
		for _, d := range [...]*durable{&w.nodes[i].mem, &w.nodes[i].disk} {
			if d.cfg.epoch() == e {
				shift(&d.prom)
				shift(&d.accAt)
			}
		}
	}
}

// addProposal keeps the proposals in order.
func (w *world) addProposal(p proposal) {
	at := 0
	for at < maxProposals && w.proposals[at].epoch > 0 && w.proposals[at].before(&p) {
		at++
	}
	copy(w.proposals[at+1:], w.proposals[at:])
	w.proposals[at] = p
}

func (p *proposal) before(q *proposal) bool {
	return p.epoch < q.epoch || p.epoch == q.epoch && p.ballot <= q.ballot
}

// prepare: onPrepare at a member, and its promise at the proposer if it gets there.
func (m *model) prepare(w *world, i int, out func(step, *world)) {
	p := &w.proposals[i]
	for n := range m.nodes {
		d := &w.nodes[n].mem
		may := m.installed(w, n, p.epoch) && d.next == 0
		if m.lacks(neverInstalledPromises) && d.next.epoch() == p.epoch && d.next.members().has(n) {
			may = true
		}
		if !w.decided[p.epoch].members().has(n) || !may || d.prom >= p.ballot {
			continue
		}
		hears := p.alive && p.phase == preparing
		st := step{kind: promised, node: n, peer: int(p.node), epoch: p.epoch, ballot: p.ballot, version: d.last}
		v := *w
		nd, q := &v.nodes[n], &v.proposals[i]
		nd.mem.prom = p.ballot
		nd.disk = nd.mem
		lost := v
		st.kind = promiseLost
		out(st, &lost)
		if hears {
			st.kind = promised
			m.count(q, n, d)
			out(st, &v)
		}
	}
}

// count takes in a promise: the cut is to be the longest prefix among them, and the
// value that of the highest ballot.
func (m *model) count(q *proposal, n int, d *durable) {
	q.promised = q.promised.with(n)
	longer := d.last > q.cut
	switch {
	case m.lacks(shortestCut):
		longer = d.last < q.cut
	case m.lacks(ownPrefixCut):
		longer = false
	}
	if longer {
		q.cut, q.have = d.last, 0
	}
	if d.last >= q.cut {
		q.have = q.have.with(n)
	}
	if d.accAt > q.best {
		q.best, q.value = d.accAt, d.acc
	}
}

// ready says whether the proposer can go on: its ballot is not outvoted where it stands.
func (m *model) ready(w *world, p *proposal) bool {
	d := &w.nodes[p.node].mem
	return p.alive && m.installed(w, int(p.node), p.epoch) && d.next == 0 && d.prom == p.ballot
}

// adopt: a value that was accepted before is proposed again as it is.
func (m *model) adopt(w *world, i int, out func(step, *world)) {
	p := &w.proposals[i]
	if p.phase != preparing || p.best == 0 || !m.ready(w, p) || !p.promised.carries(w.decided[p.epoch].members()) {
		return
	}
	v := *w
	q := &v.proposals[i]
	if m.lacks(ownCutAdopted) {
		q.value = newValue(q.value.epoch(), q.value.members(), q.value.primary(), q.cut)
	}
	m.propound(&v, i, step{kind: adopted, node: int(p.node), value: q.value, ballot: p.ballot}, out)
}

// propound sends a value to be accepted, after the proposer has accepted it itself.
func (m *model) propound(v *world, i int, st step, out func(step, *world)) {
	q := &v.proposals[i]
	nd := &v.nodes[q.node]
	nd.mem.accAt, nd.mem.acc = q.ballot, q.value
	if !m.lacks(proposerBeforeSync) {
		nd.disk = nd.mem
	}
	q.phase, q.promised, q.have, q.best, q.cut = accepting, 0, 0, 0, 0
	q.accepted = set(0).with(int(q.node))
	m.tally(v, q)
	out(st, v)
}

// tally notes a decision.
func (m *model) tally(v *world, q *proposal) {
	need := v.decided[q.epoch].members().majority()
	if m.lacks(minorityDecides) {
		need--
	}
	if q.accepted.count() >= need {
		v.decide(q.value)
	}
}

// choose: the cut and the next members; who promised a log up to the cut has a copy.
func (m *model) choose(w *world, i int, out func(step, *world)) {
	p := &w.proposals[i]
	if p.phase != preparing || p.best != 0 || !m.ready(w, p) || !p.promised.carries(w.decided[p.epoch].members()) {
		return
	}
	for members := set(1); members < 1<<m.nodes; members++ {
		if !m.wants(w, p, members) {
			continue
		}
		v := *w
		q := &v.proposals[i]
		q.phase, q.promised, q.value = staging, 0, newValue(p.epoch+1, members, int(p.node), p.cut) // the primary is chosen later
		out(step{kind: chose, node: int(p.node), value: q.value, ballot: p.ballot}, &v)
	}
}

// wants says whether the proposer may want these members next: target.
func (m *model) wants(w *world, p *proposal, members set) bool {
	nd := &w.nodes[p.node]
	if nd.corrupt && m.leaveCorrupt {
		self := set(0).with(int(p.node))
		if members == nd.mem.cfg.members()&^self {
			return true
		} else if members&self != 0 {
			return false
		}
	}
	for _, size := range m.sizes {
		if members.count() == size {
			return true
		}
	}
	return false
}

// stage: onStage at a next member that has a copy by now, and its reply.
func (m *model) stage(w *world, i int, out func(step, *world)) {
	p := &w.proposals[i]
	if !p.alive || p.phase != staging {
		return
	}
	for n := range m.nodes {
		nd := &w.nodes[n]
		d := &nd.mem
		if !p.value.members().has(n) || p.have.has(n) || !m.counts(d, p) || nd.copy.epoch > 0 || m.active(w, n, p.epoch) {
			continue
		}
		v := *w
		nd = &v.nodes[n]
		if !m.lacks(stagedBeforeSync) {
			nd.disk = nd.mem
		}
		if !m.lacks(droppedWhileCounted) {
			nd.asked = 0
		}
		v.proposals[i].have = p.have.with(n)
		out(step{kind: staged, node: n, peer: int(p.node), epoch: p.epoch, version: p.cut}, &v)
	}
}

// counts says whether a log is a copy up to the cut of a proposal.
func (m *model) counts(d *durable, p *proposal) bool {
	return d.holds(p.epoch, p.cut) || m.lacks(olderLogInstalled) && !d.dirty && d.last >= p.cut
}

// sendAccept: the end of choose: a majority of the next members has a copy, and one of
// them becomes the primary.
func (m *model) sendAccept(w *world, i int, out func(step, *world)) {
	p := &w.proposals[i]
	staged := p.have.carries(p.value.members()) || m.lacks(acceptBeforeStaging) ||
		m.lacks(outsidersHold) && p.have.count() >= p.value.members().majority()
	if p.phase != staging || !m.ready(w, p) || !staged {
		return
	}
	for members := p.value.members(); members != 0; members &= members - 1 {
		primary := bits.TrailingZeros8(uint8(members))
		v := *w
		q := &v.proposals[i]
		q.value = newValue(p.epoch+1, p.value.members(), primary, p.cut)
		m.propound(&v, i, step{kind: sentAccept, node: int(p.node), value: q.value, ballot: p.ballot}, out)
	}
}

// accept: onAccept at another member.
func (m *model) accept(w *world, i int, out func(step, *world)) {
	p := &w.proposals[i]
	for n := range m.nodes {
		d := &w.nodes[n].mem
		other := d.accAt == p.ballot && d.acc != p.value
		outvoted := d.prom > p.ballot && !m.lacks(lowerBallotAccepted)
		if p.phase != accepting || p.accepted.has(n) || !m.installed(w, n, p.epoch) || d.next != 0 || outvoted || other {
			continue
		}
		v := *w
		nd, q := &v.nodes[n], &v.proposals[i]
		nd.mem.prom, nd.mem.accAt, nd.mem.acc = p.ballot, p.ballot, p.value
		nd.disk = nd.mem
		q.accepted = q.accepted.with(n)
		m.tally(&v, q)
		out(step{kind: accepted, node: n, value: p.value, ballot: p.ballot}, &v)
	}
}

// announce: the end of propose. The proposer has heard that a majority has accepted,
// and from now on anybody may hear of the decision.
func (m *model) announce(w *world, i int, out func(step, *world)) {
	p := &w.proposals[i]
	known := p.accepted.carries(w.decided[p.epoch].members()) || m.lacks(announcedTooEarly) || m.lacks(minorityDecides) && p.accepted.count()+1 >= w.decided[p.epoch].members().majority()
	if !p.alive || p.phase != accepting || !known {
		return
	}
	v := *w
	q := &v.proposals[i]
	q.alive = false
	v.announced[q.value.epoch()] = q.value
	out(step{kind: announced, node: int(p.node), value: q.value}, &v)
}
