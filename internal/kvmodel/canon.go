package main

// All steps and invariants treat nodes alike, and ballots are ordered by their place
// alone, so a world in which the nodes have changed their names goes on in the same
// way. id takes, of all names that put the nodes in the order of what can be said of
// each without a name, those with the least encoding.

// permutation gives each node its new name, and each set of nodes.
type permutation struct {
	name [maxNodes]uint8
	sets [1 << maxNodes]set
}

// permutations are all of n nodes; the others keep their names.
func permutations(n int) []permutation {
	var all []permutation
	var extend func(p permutation, at int, used set)
	extend = func(p permutation, at int, used set) {
		if at == n {
			p.fill()
			all = append(all, p)
			return
		}
		for name := range n {
			if !used.has(name) {
				p.name[at] = uint8(name)
				extend(p, at+1, used.with(name))
			}
		}
	}
	var p permutation
	for i := range p.name {
		p.name[i] = uint8(i)
	}
	extend(p, 0, 0)
	return all
}

func (p *permutation) fill() {
	for s := range p.sets {
		p.sets[s] = 0
		for n, name := range p.name {
			if set(s).has(n) {
				p.sets[s] = p.sets[s].with(int(name))
			}
		}
	}
}

var byCount = [maxNodes + 1][]permutation{1: permutations(1), 2: permutations(2), 3: permutations(3), 4: permutations(4)}

func (p *permutation) set(s set) set { return p.sets[s] }

func (p *permutation) value(v value) value {
	if v == 0 {
		return 0
	}
	return newValue(v.epoch(), p.set(v.members()), int(p.name[v.primary()]), v.cut())
}

const wordsOfWorld = 3*maxNodes + maxProposals + 4

func (m *model) id(w *world) id {
	var marks [maxNodes]uint64
	for n := range m.nodes {
		marks[n] = m.mark(w, n)
	}
	var best [wordsOfWorld]uint64
	first := true
	all := byCount[m.nodes]
	for i := range all {
		if p := &all[i]; m.sorts(p, &marks) {
			if words := m.encode(w, p); first || less(&words, &best) {
				best, first = words, false
			}
		}
	}
	return hash(best[:])
}

// sorts says whether p puts the marks in order.
func (m *model) sorts(p *permutation, marks *[maxNodes]uint64) bool {
	var sorted [maxNodes]uint64
	for n := range m.nodes {
		sorted[p.name[n]] = marks[n]
	}
	for n := 1; n < m.nodes; n++ {
		if sorted[n-1] > sorted[n] {
			return false
		}
	}
	return true
}

func less(a, b *[wordsOfWorld]uint64) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}

// mark sums up what can be said of a node without the names of others.
func (m *model) mark(w *world, n int) uint64 {
	bit := func(b bool) uint64 {
		if b {
			return 1
		}
		return 0
	}
	role := func(v value) uint64 {
		return uint64(v.epoch()) | uint64(v.cut())<<3 | uint64(v.members().count())<<5 |
			bit(v != 0 && v.members().has(n))<<8 | bit(v != 0 && v.primary() == n)<<9
	}
	nd := &w.nodes[n]
	sum := nd.rest(&byCount[maxNodes][0])>>20<<10 | uint64(nd.window)<<8 | uint64(nd.asked.count())<<4 | uint64(nd.acked[n])<<2 | bit(nd.lead)<<1 | bit(nd.corrupt)
	add := func(x uint64) { sum = (sum ^ x) * 0x9e3779b97f4a7c15; sum ^= sum >> 31 }
	for _, d := range [...]*durable{&nd.mem, &nd.disk} {
		add(d.plain())
		add(role(d.cfg) | role(d.next)<<10 | role(d.acc)<<20)
	}
	for i := range w.proposals {
		p := &w.proposals[i]
		if p.epoch == 0 {
			break
		}
		add(bit(int(p.node) == n) | bit(p.promised.has(n))<<1 | bit(p.have.has(n))<<2 | bit(p.accepted.has(n))<<3 | role(p.value)<<4)
	}
	add(bit(w.read.on && int(w.read.node) == n) | bit(w.read.ok.has(n))<<1)
	for e := uint8(1); e <= m.epochs; e++ {
		add(role(w.decided[e]) | role(w.announced[e])<<10)
	}
	return sum
}

// plain is what a disk holds beside configurations.
func (d *durable) plain() uint64 {
	x := uint64(d.prom) | uint64(d.accAt)<<3 | uint64(d.last)<<6 | uint64(d.com)<<8 | uint64(d.tag)<<10 | uint64(d.base)<<13 | uint64(d.rotten)<<15
	if d.dirty {
		x |= 1 << 17
	}
	return x | d.log.packed()<<18
}

func (s *sequence) packed() uint64 {
	return uint64(s[1]) | uint64(s[2])<<2 | uint64(s[3])<<4
}

func (d *durable) packed(p *permutation) uint64 {
	return d.plain() | uint64(p.value(d.cfg))<<24 | uint64(p.value(d.next))<<35 | uint64(p.value(d.acc))<<46
}

// rest is what a node has beside its disk.
func (nd *node) rest(p *permutation) uint64 {
	x := uint64(0)
	if nd.lead {
		x = 1
	}
	if nd.corrupt {
		x |= 2
	}
	c := &nd.copy
	x |= uint64(nd.window)<<2 | nd.kept.packed()<<33 | uint64(c.epoch)<<20 | uint64(c.to)<<23 | uint64(c.com)<<25 | c.log.packed()<<27 | uint64(p.set(nd.asked))<<4
	for n, a := range nd.acked {
		x |= uint64(a) << (8 + 2*p.name[n])
	}
	return x
}

func (q *proposal) packed(p *permutation) uint64 {
	x := uint64(q.epoch) | uint64(q.ballot)<<3 | uint64(q.phase)<<6 | uint64(q.cut)<<8 | uint64(q.best)<<10
	if q.alive {
		x |= 1 << 13
	}
	x |= uint64(p.set(q.promised))<<14 | uint64(p.set(q.have))<<18 | uint64(p.set(q.accepted))<<22 | uint64(p.value(q.value))<<26
	if q.epoch > 0 {
		x |= uint64(p.name[q.node]) << 40
	}
	return x
}

// encode writes a world under new names into words, everything in its place.
func (m *model) encode(w *world, p *permutation) [wordsOfWorld]uint64 {
	var words [wordsOfWorld]uint64
	for n := range m.nodes {
		nd, at := &w.nodes[n], 3*int(p.name[n])
		words[at], words[at+1], words[at+2] = nd.mem.packed(p), nd.disk.packed(p), nd.rest(p)
	}
	at := 3 * maxNodes
	for i := range w.proposals {
		words[at] = w.proposals[i].packed(p)
		at++
	}
	for e := 1; e <= int(m.epochs); e++ {
		shift := 11 * (e - 1)
		words[at] |= uint64(p.value(w.decided[e])) << shift
		words[at+1] |= uint64(p.value(w.announced[e])) << shift
		words[at+2] |= (w.seq[e].packed() | uint64(w.numbered[e])<<6 | uint64(w.told[e])<<8) << (10 * (e - 1))
	}
	words[at+3] = w.observed(p)
	return words
}

func (w *world) observed(p *permutation) uint64 {
	u := &w.used
	x := w.committed.packed() | uint64(w.floor[0])<<6 | uint64(w.floor[1])<<8 | uint64(w.wrong)<<10 |
		uint64(u.writes)<<14 | uint64(u.proposals)<<17 | uint64(u.crashes)<<20 | uint64(u.reads)<<23 | uint64(u.rots)<<26 |
		uint64(u.retries)<<28 | w.stamp.packed()<<42
	if r := &w.read; r.on {
		x |= 1<<31 | uint64(p.name[r.node])<<32 | uint64(p.set(r.ok))<<34 | uint64(r.floor[0])<<38 | uint64(r.floor[1])<<40
	}
	return x
}
