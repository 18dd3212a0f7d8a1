package kv

import (
	"context"
	"fmt"
	"time"

	"dyschord/dht"
	"dyschord/kv/store"
)

// learn takes in a decided configuration, from whoever tells. A node that is behind
// stops its duties in the epochs before it; a member goes on to install it.
func (n *Node) learn(id uint32, c *configuration) {
	if c == nil || int(id) >= len(n.slots) || c.check() != nil {
		return
	}
	decided := c.normal()
	if w := n.where[id]; w == nil || w.Epoch < c.Epoch {
		n.where[id] = &decided
	}
	s := n.slots[id]
	if s == nil && !decided.has(n.self()) {
		return
	}
	s = n.slot(id)
	if c.Epoch <= s.Cfg.Epoch || s.Next != nil && c.Epoch <= s.Next.Epoch {
		return
	}
	var b store.Batch
	if err := n.update(s, &b, func(st *state) { st.Next = &decided }); err != nil {
		n.env.Log().Warn("a configuration was not taken in", "slot", id, "epoch", c.Epoch, "err", err)
		return
	}
	if l := s.lead; l != nil {
		if c.Epoch == l.epoch+1 {
			n.loseLead(s, c.Cut, true)
		} else {
			n.loseLead(s, s.Com, false)
		}
	}
	s.upkeep.attempts = 0
	n.mendSoon(s)
}

// latest is the newest configuration of a slot that this node knows, or nil.
func (n *Node) latest(id uint32) *configuration {
	best := n.where[id]
	if s := n.slots[id]; s != nil {
		if c := s.newest(); c != nil && (best == nil || best.Epoch <= c.Epoch) {
			best = c
		}
	}
	return best
}

// newer is the latest configuration if it is later than epoch, for replies.
func (n *Node) newer(id uint32, epoch uint64) known {
	if int(id) < len(n.slots) {
		if c := n.latest(id); c != nil && c.Epoch > epoch {
			return known{c}
		}
	}
	return known{}
}

// install makes this node a member of configuration c, which is s.Next: it brings
// the log to the cut, drops what is above it, and begins the new epoch in one batch.
func (n *Node) install(ctx context.Context, s *slot) error {
	c := *s.Next
	ended := c.Epoch - 1
	if s.Tag > c.Epoch {
		n.inquire(ctx, s) // the copy belongs to a later epoch: so there is one
		return errChanged
	}
	if !s.holds(ended, c.Cut) {
		if err := n.copy(ctx, s, wanted{ended, c.Cut, true}, n.sources(s, &c)); err != nil {
			return fmt.Errorf("copy for epoch %d: %w", c.Epoch, err)
		}
	}
	if err := n.advanceSlowly(ctx, s, c.Cut); err != nil {
		return err
	}
	if c.primary().Same(n.self()) {
		if err := n.readRequests(ctx, s); err != nil {
			return err
		}
	}
	if s.Next == nil || !s.Next.same(&c) || s.copying || !s.holds(ended, c.Cut) {
		return errChanged
	}
	var b store.Batch
	drop := s.Tag == ended && s.last > c.Cut
	if drop {
		b.Truncate(s.id, c.Cut)
	}
	if err := n.update(s, &b, func(st *state) {
		st.Cfg, st.Next, st.Acc, st.Prom, st.Tag = c, nil, nil, ballot{}, c.Epoch
	}); err != nil {
		return err
	}
	if drop {
		s.shorten(c.Cut)
	}
	s.ready = false
	if err := n.flush(ctx); err != nil {
		return err
	}
	n.begin(s, c.Epoch)
	return nil
}

// begin takes up the duties in an epoch that has just been installed durably.
func (n *Node) begin(s *slot, epoch uint64) {
	if s.Cfg.Epoch != epoch || s.ready {
		return
	}
	s.ready = true
	s.synced = s.last
	s.upkeep = upkeep{want: s.upkeep.want, wantAt: s.upkeep.wantAt, named: s.upkeep.named, namedAt: s.upkeep.namedAt}
	n.env.Emit(Installed{Slot: s.id, Epoch: epoch, Members: len(s.Cfg.Members)})
	if s.Next != nil {
		return
	}
	if s.Cfg.primary().Same(n.self()) {
		n.takeLead(s)
		return
	}
	n.spread(s.id, []dht.Peer{s.Cfg.primary()})
}

// advanceSlowly moves the index up to seq with pauses, for what may be a long way.
func (n *Node) advanceSlowly(ctx context.Context, s *slot, seq uint64) error {
	const most = 2048
	for s.Com < seq {
		if s.Dirty || s.last < seq {
			return errChanged
		}
		if err := n.advance(s, min(s.Com+most, seq)); err != nil {
			return err
		}
		if err := n.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// readRequests completes the window of a primary to be from its log, as far down as
// the log has no gaps.
func (n *Node) readRequests(ctx context.Context, s *slot) error {
	const mostBytes = 4 << 20
	floor, room := s.window.floor, windowSize-len(s.window.order)
	var found [][]byte
	if err := n.env.Block(ctx, func() error {
		bytes := 0
		for seq := floor; seq > 0 && len(found) < room && bytes < mostBytes; seq-- {
			rec, err := n.store.Record(s.id, seq)
			if err != nil {
				return nil // a gap, or a record that cannot be read: the window ends here
			}
			found = append(found, rec.Request)
			bytes += len(rec.Value)
		}
		return nil
	}); err != nil {
		return err
	}
	if s.window.floor == floor {
		for _, request := range found {
			s.window.before(request)
		}
	}
	return nil
}

// sources are the nodes that may have what configuration c starts from.
func (n *Node) sources(s *slot, c *configuration) []dht.Peer {
	all := n.others(c.Members)
	if s.Cfg.Epoch == c.Epoch-1 {
		for _, p := range n.others(s.Cfg.Members) {
			if !c.has(p) {
				all = append(all, p)
			}
		}
	}
	live := all[:0:0]
	for _, p := range all {
		if !n.dead(p) {
			live = append(live, p)
		}
	}
	return live
}

// others are the peers but this node.
func (n *Node) others(peers []dht.Peer) []dht.Peer {
	self := n.self()
	var out []dht.Peer
	for _, p := range peers {
		if !p.Same(self) {
			out = append(out, p)
		}
	}
	return out
}

// inquire asks the members of all known configurations of a slot for a later one.
func (n *Node) inquire(ctx context.Context, s *slot) {
	var all []dht.Peer
	for _, c := range n.named(s.id) {
		for _, p := range n.others(c.Members) {
			if !contains(all, p) {
				all = append(all, p)
			}
		}
	}
	n.askAll(ctx, all, s.id)
}

// askAll asks peers where a slot is and learns from the answers, until every one
// has answered or given no sign of life. It returns the answers with their senders.
func (n *Node) askAll(ctx context.Context, peers []dht.Peer, id uint32) []dht.Result {
	calls := n.env.Calls()
	defer calls.Close()
	for _, p := range peers {
		calls.Start(p, &ask{Slots: []uint32{id}})
	}
	ctx, cancel := n.env.WithTimeout(ctx, 2*n.cfg.Heartbeat)
	defer cancel()
	var answers []dht.Result
	for calls.Pending() > 0 {
		res, err := calls.Next(ctx)
		if err != nil {
			return answers
		}
		if reply, ok := res.Msg.(*tell); ok && res.Err == nil {
			n.takeIn(res.To, reply)
			answers = append(answers, res)
		}
	}
	return answers
}

// onAsk answers with the latest configurations known.
func (n *Node) onAsk(m *ask) *tell {
	reply := &tell{Leaving: n.leaving}
	for _, id := range m.Slots[:min(len(m.Slots), maxSlotRows)] {
		if int(id) < len(n.slots) && n.latest(id) != nil && !n.describe(&reply.rows, id) {
			break
		}
	}
	return reply
}

// describe adds the row of a slot of which a configuration is known.
func (n *Node) describe(m *rows, id uint32) bool {
	c := n.latest(id)
	r := row{Slot: id}
	if s := n.slots[id]; s != nil && n.installed(s, s.Cfg.Epoch) {
		r.Installed, r.Frozen = s.Cfg.Epoch, true
		if n.active(s, s.Cfg.Epoch) {
			r.Last, r.Frozen = s.synced, false // what a frozen member has may be staged: no acknowledgement
		}
	}
	return m.add(r, c)
}

// onTell learns from another node, and answers with what it is behind in.
func (n *Node) onTell(from dht.Peer, m *tell, r dht.Reply) {
	reply := &tell{Leaving: n.leaving}
	for i := range m.Rows[:min(len(m.Rows), maxSlotRows)] {
		at := &m.Rows[i]
		if int(at.Slot) >= len(n.slots) {
			continue
		}
		if c := n.latest(at.Slot); c != nil && c.Epoch > at.Epoch && !n.describe(&reply.rows, at.Slot) {
			break
		}
	}
	n.takeIn(from, m)
	r.Send(reply, nil)
}

// takeIn learns what from says of slots and of itself.
func (n *Node) takeIn(from dht.Peer, m *tell) {
	if p := n.peer(from); m.Leaving {
		p.leaving = n.now()
	} else {
		p.leaving = time.Time{}
	}
	for i := range m.Rows[:min(len(m.Rows), maxSlotRows)] {
		c, err := m.configuration(i)
		if err != nil {
			continue
		}
		at := &m.Rows[i]
		n.learn(at.Slot, &c)
		s := n.held(at.Slot)
		if s == nil || !n.serving(s) || at.Installed != s.Cfg.Epoch || at.Frozen {
			continue
		}
		if k := s.Cfg.index(from); k >= 0 && k != int(s.Cfg.Primary) {
			n.arrived(s, k, at.Last)
		}
	}
}

// arrived notes that a member is active in the primary's epoch and has the log up to
// last on its disk.
func (n *Node) arrived(s *slot, member int, last uint64) {
	l := s.lead
	p := &l.members[member]
	if last > s.last {
		return
	}
	if !p.known {
		p.known, p.sent = true, last
	}
	if p.stuck {
		p.stuck, p.sent = false, max(p.acked, last)
	}
	n.acknowledge(s, l, member, last)
	if s.lead == l && p.sent < s.last {
		n.enqueue(s, member)
	}
}

// spread tells peers the latest configuration of a slot, once.
func (n *Node) spread(id uint32, peers []dht.Peer) {
	msg := &tell{Leaving: n.leaving}
	if n.latest(id) == nil || !n.describe(&msg.rows, id) {
		return
	}
	n.env.Go("kv.spread", func(ctx context.Context) { n.tellAll(ctx, peers, msg) })
}

func (n *Node) tellAll(ctx context.Context, peers []dht.Peer, msg *tell) {
	calls := n.env.Calls()
	defer calls.Close()
	for _, p := range n.others(peers) {
		calls.Start(p, msg)
	}
	for calls.Pending() > 0 {
		res, err := calls.Next(ctx)
		if err != nil {
			return
		}
		if reply, ok := res.Msg.(*tell); ok && res.Err == nil {
			n.takeIn(res.To, reply)
		}
	}
}

func contains(peers []dht.Peer, p dht.Peer) bool {
	for _, q := range peers {
		if q.Same(p) {
			return true
		}
	}
	return false
}
