package kv

import (
	"errors"
	"slices"

	"dyschord/dht"
	"dyschord/kv/store"
)

// takeLead makes this node serve the epoch it has just installed. It is the only
// way to serve: a node that restarts has no lead.
func (n *Node) takeLead(s *slot) {
	l := &lead{epoch: s.Cfg.Epoch, members: make([]progress, len(s.Cfg.Members))}
	for i := range l.members {
		l.members[i].sent = s.last
	}
	l.members[s.Cfg.Primary] = progress{known: true, acked: s.last, sent: s.last}
	s.synced = s.last
	s.forget(len(s.tail)) // a member's records have no values; the log has them
	s.tailFrom = s.last
	s.lead = l
	for i := range l.members {
		n.enqueue(s, i)
	}
	n.took++
	n.env.Log().Debug("became primary", "slot", s.id, "epoch", s.Cfg.Epoch)
}

// loseLead ends the service of an epoch. Writes up to cut are decided to count;
// those above have not happened, or, where the cut is not known, perhaps have.
func (n *Node) loseLead(s *slot, cut uint64, sure bool) {
	l := s.lead
	if l == nil {
		return
	}
	s.lead = nil
	s.forgetValues()
	for _, w := range l.waiters {
		switch {
		case w.seq <= cut:
			w.done(l.written(w, s), nil)
		case sure:
			w.done(&response{Moved: true, known: known{s.newest()}}, nil)
		default:
			w.done(nil, ErrUnknown)
		}
	}
}

func (l *lead) written(w waiter, s *slot) *response {
	acks := 0
	for _, p := range l.members {
		if p.acked >= w.seq {
			acks++
		}
	}
	return &response{Version: w.seq, Existed: w.existed, Acks: uint8(acks), Replicas: uint8(len(l.members)), Last: s.Com}
}

// write numbers a write at the primary and sends it to the members, while the own
// disk works. done is called once, with the end of it. The caller has checked that
// the node serves the slot.
func (n *Node) write(s *slot, q *request, done func(*response, error)) {
	w := waiter{since: n.now(), done: done}
	if at, ok := s.window.find(q.ID); ok {
		w.seq, w.existed = at.seq, at.existed
		n.await(s, w)
		return
	}
	switch {
	case len(q.ID) > 0 && q.Stamp < s.window.floor:
		done(&response{Stale: true, Last: s.Com, known: known{s.newest()}}, nil)
		return
	case !n.quorate(&s.Cfg):
		done(nil, ErrUnavailable)
		return
	case q.Op == opPut && n.crowded(s):
		done(nil, ErrFull)
		return
	case n.pending+len(q.Key)+len(q.Value) > n.cfg.MaxPending:
		done(nil, ErrOverloaded)
		return
	}
	existed, err := n.exists(s, q.Key)
	if err != nil {
		n.damaged(s, err)
		done(&response{Moved: true, known: known{s.newest()}}, nil)
		return
	}
	w.existed = existed
	rec := store.Record{
		Epoch: s.Cfg.Epoch, Seq: s.last + 1, Key: q.Key, Value: q.Value, Type: q.Type,
		Deleted: q.Op == opDelete, Modified: n.env.Now(), Request: requestBytes(q.ID, w.existed),
	}
	w.seq = rec.Seq
	var b store.Batch
	b.Append(s.id, rec)
	if err := n.apply(&b); err != nil {
		done(nil, refusal(err))
		return
	}
	s.extend(rec)
	s.lead.waiters = append(s.lead.waiters, w)
	l, cuts := s.lead, s.cuts
	n.durably(func() {
		s.onDisk(cuts, rec.Seq)
		n.acknowledge(s, l, int(s.Cfg.Primary), rec.Seq)
	})
	for i := range l.members {
		n.enqueue(s, i)
	}
}

// crowded says whether so many members last had no room that a value could not be
// committed.
func (n *Node) crowded(s *slot) bool {
	room := 0
	for _, p := range s.lead.members {
		if !p.full {
			room++
		}
	}
	return room < s.Cfg.majority()
}

// refusal is what a client is told when the store took nothing.
func refusal(err error) error {
	switch {
	case errors.Is(err, store.ErrBusy):
		return ErrOverloaded
	case errors.Is(err, store.ErrFull):
		return ErrFull
	}
	return err
}

// await answers a retried write: at once if it is committed.
func (n *Node) await(s *slot, w waiter) {
	if w.seq <= s.Com {
		w.done(s.lead.written(w, s), nil)
		return
	}
	s.lead.waiters = append(s.lead.waiters, w)
}

// exists says whether the key has a value after all writes that were numbered.
func (n *Node) exists(s *slot, key []byte) (bool, error) {
	if rec := s.pending(key); rec != nil {
		return !rec.Deleted, nil
	}
	rec, err := n.store.Lookup(s.id, key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return !rec.Deleted, err
}

// acknowledge counts that a member has everything up to seq on its disk.
func (n *Node) acknowledge(s *slot, l *lead, member int, seq uint64) {
	if s.lead != l || !n.serving(s) {
		return
	}
	p := &l.members[member]
	if seq > s.last || seq <= p.acked {
		return
	}
	p.acked = seq
	p.sent = max(p.sent, seq)
	n.count(s)
}

// count commits what a majority has on its disks.
func (n *Node) count(s *slot) {
	acked := make([]uint64, 0, maxMembers)
	for _, p := range s.lead.members {
		acked = append(acked, p.acked)
	}
	slices.Sort(acked)
	com := acked[len(acked)-s.Cfg.majority()]
	if com <= s.Com {
		return
	}
	l := s.lead
	if err := n.advance(s, com); err != nil {
		n.env.Log().Warn("the index did not move", "slot", s.id, "err", err)
		return
	}
	waiting := l.waiters[:0:0]
	for _, w := range l.waiters {
		if w.seq > com {
			waiting = append(waiting, w)
			continue
		}
		w.done(l.written(w, s), nil)
	}
	l.waiters = waiting
}

// advance moves the index over what is committed up to seq.
func (n *Node) advance(s *slot, seq uint64) error {
	const most = 512 // records of one batch
	for s.Com < seq {
		var b store.Batch
		end, err := n.indexed(s, &b, seq, most)
		if err != nil {
			n.damaged(s, err)
			return err
		}
		if err := n.update(s, &b, func(st *state) { st.Com = end }); err != nil {
			return err
		}
		k := 0
		for k < len(s.tail) && s.tail[k].Seq <= end {
			k++
		}
		s.forget(k)
		s.tailFrom = max(s.tailFrom, end)
	}
	return nil
}

// indexed adds to b what the index needs to move towards seq, and says how far
// that takes it.
func (n *Node) indexed(s *slot, b *store.Batch, seq uint64, most int) (uint64, error) {
	if s.Com >= s.tailFrom {
		for i := range s.tail {
			if s.tail[i].Seq > seq {
				break
			}
			if b.Len() == most {
				return s.tail[i-1].Seq, nil
			}
			b.Index(s.id, s.tail[i].Key, s.tail[i].Seq)
		}
		return seq, nil
	}
	end := min(seq, s.tailFrom)
	at := s.Com
	for rec, err := range n.store.Log(s.id, s.Com+1, end) {
		if err != nil {
			return 0, err
		}
		if b.Len() == most {
			return at, nil
		}
		b.Index(s.id, rec.Key, rec.Seq)
		at = rec.Seq
	}
	return end, nil
}

// onAppend takes records of the primary into the log, and acknowledges them when
// they are on the disk and the epoch is still in force.
func (n *Node) onAppend(from dht.Peer, m *appendRequest, r dht.Reply) {
	if len(m.Runs) > maxSlotRows {
		r.Send(nil, dht.ErrMalformed)
		return
	}
	acks := make([]ack, len(m.Runs))
	cuts := make([]uint32, len(m.Runs))
	for i := range m.Runs {
		run := &m.Runs[i]
		if err := run.check(&n.cfg); err != nil {
			r.Send(nil, err)
			return
		}
		acks[i] = ack{Slot: run.Slot, Epoch: run.Epoch, Outcome: n.take(from, run)}
		if s := n.held(run.Slot); s != nil {
			acks[i].Last, acks[i].Com, cuts[i] = s.last, s.Com, s.cuts
		}
	}
	n.durably(func() {
		for i := range acks {
			a := &acks[i]
			s := n.held(a.Slot)
			if s == nil || a.Outcome == refuseRun || a.Outcome == fullRun {
				continue
			}
			s.onDisk(cuts[i], a.Last)
			if !n.active(s, a.Epoch) {
				a.Outcome = refuseRun
			}
		}
		r.Send(&appended{Acks: acks}, nil)
	})
}

// take appends a run to the log of an active member. What the log has already is
// skipped: in one epoch there is one record of a number.
func (n *Node) take(from dht.Peer, r *run) outcome {
	s := n.held(r.Slot)
	if s == nil || s.copying || !n.active(s, r.Epoch) || !s.Cfg.primary().Same(from) || from.Same(n.self()) {
		return refuseRun
	}
	if r.Prev > s.last {
		return gapRun
	}
	var b store.Batch
	var fresh []store.Record
	for i := range r.Records {
		if r.Records[i].Seq > s.last {
			rec := r.Records[i].toStore()
			b.Append(s.id, rec)
			fresh = append(fresh, rec)
		}
	}
	if len(fresh) > 0 {
		if err := n.apply(&b); errors.Is(err, store.ErrFull) && !errors.Is(err, store.ErrBusy) {
			return fullRun
		} else if err != nil {
			return refuseRun
		}
		for _, rec := range fresh {
			rec.Value = nil
			s.extend(rec)
		}
	}
	const lag = 64 // versions that the index may be behind, so that it moves in larger steps
	if com := min(r.Com, s.last); com > s.Com && (len(fresh) == 0 || com-s.Com >= lag) {
		if err := n.advance(s, com); err != nil {
			n.env.Log().Warn("the index did not move", "slot", s.id, "err", err)
		}
	}
	return ackRun
}
