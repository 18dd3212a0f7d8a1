package main

// mayCopy: the guard of stageHere. Node n may be given a copy of epoch e: it knows of
// nothing later, and is outside e, or a frozen member.
func (m *model) mayCopy(w *world, n int, e uint8) bool {
	newest := w.nodes[n].mem.newest()
	switch {
	case newest.epoch() != e:
		return false
	case !newest.members().has(n):
		return true
	}
	return m.installed(w, n, e) && !m.active(w, n, e)
}

// copies: copy, for a proposer that wants node n to have a part of an epoch, and for
// an epoch that n is to install.
func (m *model) copies(w *world, n int, out func(step, *world)) {
	nd := &w.nodes[n]
	switch {
	case nd.copy.epoch > 0:
		m.endCopy(w, n, out)
		return
	case nd.mem.dirty:
		v := *w
		abandon(&v.nodes[n].mem)
		m.settle(&v.nodes[n])
		out(step{kind: abandoned, node: n}, &v)
		return
	}
	if newest := nd.mem.newest(); newest != 0 && m.mayCopy(w, n, newest.epoch()) {
		m.copyOf(w, n, newest.epoch(), 0, false, out)
	}
	for e := nd.mem.newest().epoch() + 1; e <= m.epochs; e++ { // a stage request tells of its epoch
		if c := w.announced[e]; c != 0 && !c.members().has(n) && (m.skip || !nd.mem.next.members().has(n)) {
			v := *w
			m.hear(&v, n, c)
			m.copyOf(&v, n, e, 0, false, out)
		}
	}
	if c := nd.mem.next; c.members().has(n) && !nd.mem.holds(c.epoch()-1, c.cut()) {
		m.copyOf(w, n, c.epoch()-1, c.cut(), true, out)
	}
}

func abandon(d *durable) {
	d.truncate(d.base)
	d.dirty, d.base = false, 0
}

// copyOf: rebase, then copyFrom each possible source.
func (m *model) copyOf(w *world, n int, e, need uint8, newer bool, out func(step, *world)) {
	d := &w.nodes[n].mem
	if keep, ok := m.keeps(d, e); !ok {
		return
	} else if keep < d.last {
		v := *w
		to := &v.nodes[n]
		to.mem.truncate(keep)
		to.mem.last = keep
		m.settle(to)
		out(step{kind: rebased, node: n, epoch: e, version: keep}, &v)
		return
	}
	for y := range m.nodes {
		from := &w.nodes[y].mem
		fits := from.tag == e && from.last >= need || newer && from.tag == e+1
		gives := !from.dirty && w.nodes[y].copy.epoch == 0 && (!w.nodes[y].corrupt || m.lacks(corruptCopied))
		if y == n || !fits || !gives || from.last < d.last || from.tag == d.tag && from.last == d.last {
			continue
		}
		if from.rotten > d.last && !m.lacks(corruptCopied) {
			m.notice(w, y, out)
			continue
		}
		m.receive(w, n, y, out)
	}
}

// keeps: rebase. How much of the log is a prefix of epoch e as well.
func (m *model) keeps(d *durable, e uint8) (uint8, bool) {
	switch {
	case d.tag == e:
		return d.last, true
	case d.tag > e || d.cfg != 0 && d.next == 0:
		return 0, false
	case m.lacks(copyOverTail):
		return d.last, true
	}
	keep := min(d.com, d.last)
	known := []value{d.cfg, d.next}
	if m.lacks(acceptedIsDecided) {
		known = append(known, d.acc)
	}
	for _, c := range known {
		if c != 0 && c.epoch() == d.tag+1 {
			keep = max(keep, min(d.last, c.cut()))
		}
	}
	return keep, true
}

// receive: the pages of a copy. With all of them the log belongs to the epoch of the
// source; with a part, it is dirty.
func (m *model) receive(w *world, n, y int, out func(step, *world)) {
	from := &w.nodes[y].mem
	whole := page{from.tag, from.last, min(from.com, from.last), from.log}
	if m.lacks(corruptCopied) && from.rotten > 0 {
		whole.log[from.rotten] = 0
	}
	v := *w
	m.finish(&v, n, whole, step{kind: copied, node: n, peer: y, epoch: from.tag, version: from.last}, out)
	d := &w.nodes[n].mem
	for s := d.last + 1; m.paged && s < from.last; s++ {
		if from.log[s] == 0 {
			continue
		}
		v := *w
		nd := &v.nodes[n]
		nd.mem.dirty, nd.mem.base, nd.mem.log[s] = true, d.last, from.log[s]
		nd.copy = whole
		m.settle(nd)
		if m.lacks(halfCopy) {
			nd.mem.dirty, nd.mem.base, nd.mem.last, nd.mem.tag = false, 0, whole.to, whole.epoch
		}
		out(step{kind: copiedPart, node: n, peer: y, epoch: from.tag, version: s}, &v)
		return
	}
}

func (m *model) endCopy(w *world, n int, out func(step, *world)) {
	whole := w.nodes[n].copy
	v := *w
	v.nodes[n].copy = page{}
	m.finish(&v, n, whole, step{kind: copyEnded, node: n, epoch: whole.epoch, version: whole.to}, out)
	v = *w
	v.nodes[n].copy = page{}
	if v.nodes[n].mem.dirty {
		abandon(&v.nodes[n].mem)
	}
	m.settle(&v.nodes[n])
	out(step{kind: abandoned, node: n}, &v)
}

// finish: keepPage with the last page, and the index that follows.
func (m *model) finish(v *world, n int, whole page, st step, out func(step, *world)) {
	nd := &v.nodes[n]
	d := &nd.mem
	if d.tag != whole.epoch {
		nd.asked = 0
	}
	for s := d.last + 1; s <= whole.to; s++ {
		d.log[s] = whole.log[s]
	}
	d.dirty, d.base, d.tag, d.last = false, 0, whole.epoch, whole.to
	if m.lazyIndex && whole.com > d.com {
		later := *v
		m.settle(&later.nodes[n])
		out(st, &later)
		st.kind = copiedIndexed
	}
	com := whole.com
	if m.lacks(copiedTailIndexed) {
		com = whole.to
	}
	m.advance(d, com)
	m.settle(nd)
	out(st, v)
}
