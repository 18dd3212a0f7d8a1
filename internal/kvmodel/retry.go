package main

// retry: the beginning of kv's Node.write. A request arrives again: of a client that
// had no answer, or because the network repeats it.
func (m *model) retry(w *world, p int, out func(step, *world)) {
	nd := &w.nodes[p]
	d := &nd.mem
	if !m.serving(w, p) || w.used.retries == m.retries {
		return
	}
	for x := uint8(1); x <= w.used.writes; x++ {
		v := *w
		v.used.retries++
		st := step{node: p, write: x}
		switch at := m.find(w, p, x); {
		case at > 0 && at <= d.com:
			if w.committed[at] != x {
				v.wrong = answeredWrongly
			}
			k := m.key(x)
			v.floor[k] = max(v.floor[k], at)
			st.kind, st.version = foundAgain, at
		case at > 0, w.stamp[x] < nd.window && !m.lacks(oldRetryNumbered), d.last == maxWrites:
			continue // it waits, or ends as unknown
		default:
			st.kind, st.version = wroteAgain, d.last+1
			m.number(&v, p, x)
		}
		out(st, &v)
	}
}

// find: window.find. The version that a write was given, as far as the primary knows.
func (m *model) find(w *world, p int, write uint8) uint8 {
	nd := &w.nodes[p]
	for s := nd.mem.last; s > nd.window && !m.lacks(retryAsNew); s-- {
		if w.seq[nd.mem.cfg.epoch()][s] == write {
			return s
		}
	}
	for s := uint8(1); s <= maxWrites; s++ {
		if nd.kept[s] == write {
			return s
		}
	}
	return 0
}

// gap is the last version that a log lacks: it knows the requests of those above.
func (d *durable) gap() uint8 {
	s := d.last
	for s > 0 && d.log[s] != 0 {
		s--
	}
	return s
}
