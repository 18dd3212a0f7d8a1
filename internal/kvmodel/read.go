package main

// reading: get, round, onConfirm, answer; one read at a time. It asks for every key.
func (m *model) reading(w *world, out func(step, *world)) {
	r := &w.read
	if !r.on {
		for p := range m.nodes {
			if m.serving(w, p) && w.used.reads < m.reads {
				v := *w
				v.used.reads++
				v.read = read{on: true, node: uint8(p), floor: w.floor, ok: set(0).with(p)}
				out(step{kind: readBegan, node: p}, &v)
			}
		}
		return
	}
	p := int(r.node)
	if m.lacks(confirmedBefore) && r.floor != w.floor {
		v := *w
		v.read.floor = w.floor
		out(step{kind: readBegan, node: p}, &v)
	}
	cfg := w.nodes[p].mem.cfg
	for n := range m.nodes {
		d := &w.nodes[n].mem
		says := m.active(w, n, cfg.epoch()) || m.lacks(frozenConfirms) && d.cfg.epoch() >= cfg.epoch()
		if cfg.members().has(n) && !r.ok.has(n) && says {
			v := *w
			v.read.ok = r.ok.with(n)
			out(step{kind: confirmed, node: n, peer: p, epoch: cfg.epoch()}, &v)
		}
	}
	if m.serving(w, p) && (r.ok.carries(cfg.members()) || m.lacks(readUnconfirmed)) {
		m.answer(w, p, out)
	}
}

func (m *model) answer(w *world, p int, out func(step, *world)) {
	v := *w
	v.read = read{}
	d := &w.nodes[p].mem
	top := d.com
	if m.lacks(pendingRead) {
		top = d.last
	}
	for k := range maxKeys {
		s := m.lookup(d, k, top)
		switch {
		case s > 0 && s == d.rotten:
			continue // no answer
		case s < w.read.floor[k]:
			v.wrong = staleRead
		case s > 0 && w.committed[s] != d.log[s]:
			v.wrong = uncommittedRead
		}
		v.floor[k] = max(v.floor[k], s)
	}
	out(step{kind: answeredRead, node: p, version: top}, &v)
}

// lookup is the version of a key that the index of a node has when it is at top.
func (m *model) lookup(d *durable, key int, top uint8) uint8 {
	for s := min(top, d.last); s > 0; s-- {
		if d.log[s] != 0 && m.key(d.log[s]) == key && !(m.lacks(corruptIsMissing) && s == d.rotten) {
			return s
		}
	}
	return 0
}
