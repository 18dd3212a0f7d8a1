package main

import "fmt"

// broken says which invariant does not hold.
func (m *model) broken(w *world) string {
	if w.wrong != 0 {
		return w.wrong.String()
	}
	for n := range m.nodes {
		for _, d := range [...]*durable{&w.nodes[n].mem, &w.nodes[n].disk} {
			if fault := m.brokenDisk(w, d); fault != "" {
				return fmt.Sprintf("%s: %s", name(n), fault)
			}
		}
		if fault := m.brokenLead(w, n); fault != "" {
			return fmt.Sprintf("%s: %s", name(n), fault)
		}
	}
	return m.brokenMajority(w)
}

// brokenDisk checks one node's part: one chain, one sequence in each epoch, and an
// index of what is committed.
func (m *model) brokenDisk(w *world, d *durable) string {
	for _, c := range []value{d.cfg, d.next} {
		if c != 0 && w.decided[c.epoch()] != c {
			return fmt.Sprintf("takes %v for decided", c)
		}
	}
	if d.tag > 0 && !d.dirty {
		for s := uint8(1); s <= d.last; s++ {
			if x := w.seq[d.tag][s]; d.log[s] != x && (d.log[s] != 0 || !m.superseded(w, x, s)) {
				return fmt.Sprintf("its log is no prefix of the sequence of epoch %d", d.tag)
			}
		}
		if d.last > w.numbered[d.tag] {
			return fmt.Sprintf("its log goes on after the sequence of epoch %d", d.tag)
		}
	}
	for s := uint8(1); s <= d.com; s++ {
		if d.log[s] != 0 && d.log[s] != w.committed[s] || w.committed[s] == 0 {
			return "its index shows what is not committed"
		}
	}
	return ""
}

// superseded says whether the write x, numbered s, may be missing: a later write of
// its key is committed.
func (m *model) superseded(w *world, x, s uint8) bool {
	for t := s + 1; t <= maxWrites; t++ {
		if x != 0 && w.committed[t] != 0 && m.key(w.committed[t]) == m.key(x) {
			return true
		}
	}
	return false
}

// brokenLead checks a primary in force: it has, in its index, everything that was
// committed before its epoch, and if it is the last, everything that clients know of.
func (m *model) brokenLead(w *world, n int) string {
	if !m.serving(w, n) {
		return ""
	}
	d := &w.nodes[n].mem
	e := d.cfg.epoch()
	for k := range maxKeys {
		need := m.latest(w, d.cfg, k)
		if w.newestDecided() == d.cfg {
			need = max(need, w.floor[k])
		}
		if got := m.lookup(d, k, d.com); got < need {
			return fmt.Sprintf("serves epoch %d without version %d", e, need)
		}
	}
	return ""
}

// latest is the last version of a key in what configuration c began with.
func (m *model) latest(w *world, c value, key int) uint8 {
	for s := c.cut(); s > 0; s-- {
		if m.key(w.seq[c.epoch()-1][s]) == key {
			return s
		}
	}
	return 0
}

// brokenMajority checks the last configuration of the chain: on the disks of a
// majority of its members is everything up to its cut, and everything that clients
// know of. A disk that rots is one less.
func (m *model) brokenMajority(w *world) string {
	c := w.newestDecided()
	for k := range maxKeys {
		need := max(m.latest(w, c, k), w.floor[k])
		if need == 0 {
			continue
		}
		have := 0
		for n := range m.nodes {
			if c.members().has(n) {
				d := &w.nodes[n].disk
				if got := m.lookup(d, k, d.last); got >= need || d.rotten > 0 {
					have++
				}
			}
		}
		if have < c.members().majority() {
			return fmt.Sprintf("version %d is on the disks of %d of the %d members of %v", need, have, c.members().count(), c)
		}
	}
	return ""
}
