package kv

import (
	"context"

	"dyschord/dht"
	"dyschord/kv/store"
)

// outbox is the queue of slots with records for one peer. A few messages at a time
// are on their way; what is numbered meanwhile shares the next.
type outbox struct {
	to     dht.Peer
	queue  []parcel
	flying int
}

// parcel is a slot whose records, in one lead, are due to a peer.
type parcel struct {
	s      *slot
	l      *lead
	member int
}

const maxFlying = 4 // messages of records on their way to one peer

// outbox returns the queue for p.
func (n *Node) outbox(p dht.Peer) *outbox {
	for _, o := range n.out {
		if o.to.Same(p) {
			return o
		}
	}
	o := &outbox{to: p}
	n.out = append(n.out, o)
	return o
}

// enqueue sees to it that a member is sent what it lacks.
func (n *Node) enqueue(s *slot, member int) {
	l := s.lead
	p := &l.members[member]
	if p.queued || p.stuck || member == int(s.Cfg.Primary) {
		return
	}
	p.queued = true
	o := n.outbox(s.Cfg.Members[member])
	o.queue = append(o.queue, parcel{s, l, member})
	n.pump(o)
}

func (n *Node) pump(o *outbox) {
	if o.flying < maxFlying && len(o.queue) > 0 {
		o.flying++
		n.env.Go("kv.append", func(ctx context.Context) { n.ship(ctx, o) })
	}
}

func (n *Node) ship(ctx context.Context, o *outbox) {
	defer func() { o.flying-- }()
	for len(o.queue) > 0 && ctx.Err() == nil {
		msg, parcels := n.pack(o)
		if len(parcels) == 0 {
			continue
		}
		reply, err := dht.Ask[*appended](ctx, n.env, o.to, msg)
		if err == nil && len(reply.Acks) != len(parcels) {
			err = dht.ErrMalformed
		}
		for i, p := range parcels {
			if p.s.lead != p.l || !n.serving(p.s) {
				continue
			}
			if err != nil {
				p.lost()
				continue
			}
			n.delivered(p, &reply.Acks[i])
		}
	}
}

// lost forgets what was sent: it is sent again when the peer seems to listen.
func (p parcel) lost() {
	m := &p.l.members[p.member]
	m.stuck = true
	m.sent = m.acked
	if !m.known {
		m.sent = p.s.last
	}
}

func (n *Node) delivered(p parcel, a *ack) {
	m := &p.l.members[p.member]
	switch {
	case a.Slot != p.s.id || a.Epoch != p.l.epoch || a.Last > p.s.last:
		m.stuck = true
		return
	case a.Outcome == ackRun:
		m.known, m.com, m.full = true, a.Com, false
		n.acknowledge(p.s, p.l, p.member, a.Last)
	case a.Outcome == gapRun:
		m.known = true
		m.sent = a.Last
	default:
		p.lost()
		m.full = a.Outcome == fullRun
		return
	}
	if p.s.lead == p.l && m.sent < p.s.last {
		n.enqueue(p.s, p.member)
	}
}

// room is how many bytes of records go into one message beside others.
func (c *Config) room() int { return max(min(pageBytes, c.MaxValue), 2048) }

// pack takes slots from the queue until the message is full.
func (n *Node) pack(o *outbox) (*appendRequest, []parcel) {
	msg, room := new(appendRequest), n.cfg.room()
	var parcels []parcel
	for len(o.queue) > 0 && len(parcels) < maxSlotRows && room > 0 {
		p := o.queue[0]
		m := &p.l.members[p.member]
		if p.s.lead != p.l || !n.serving(p.s) {
			m.queued = false
			o.queue = o.queue[1:]
			continue
		}
		r, size, err := n.runOf(p, room, len(parcels) == 0)
		if err == nil && len(r.Records) == 0 && m.sent < p.s.last && len(parcels) > 0 {
			break // the next record does not fit beside the others
		}
		o.queue = o.queue[1:]
		m.queued = false
		if err != nil {
			n.env.Log().Warn("a record cannot be sent", "slot", p.s.id, "peer", o.to, "err", err)
			m.stuck = true
			n.damaged(p.s, err)
			continue
		}
		m.sent = r.end()
		msg.Runs = append(msg.Runs, r)
		parcels = append(parcels, p)
		room -= size
		if m.sent < p.s.last {
			n.enqueue(p.s, p.member)
		}
	}
	return msg, parcels
}

// runOf collects up to room bytes of records that the member was not sent; first
// lets one record in, however large.
func (n *Node) runOf(p parcel, room int, first bool) (run, int, error) {
	s, m := p.s, &p.l.members[p.member]
	r := run{Slot: s.id, Epoch: p.l.epoch, Prev: m.sent, Com: s.Com}
	size := runOverhead
	add := func(rec *store.Record) bool {
		wire := toWire(rec)
		fits := size+wire.size() <= room || first && len(r.Records) == 0
		if !fits || len(r.Records) == maxRecords/4 {
			return false
		}
		size += wire.size()
		r.Records = append(r.Records, wire)
		return true
	}
	if m.sent < s.tailFrom {
		for rec, err := range n.store.Log(s.id, m.sent+1, s.tailFrom) {
			if err != nil {
				return r, size, err
			}
			if !add(&rec) {
				return r, size, nil
			}
		}
	}
	for i := range s.tail {
		if s.tail[i].Seq > m.sent && !add(&s.tail[i]) {
			break
		}
	}
	return r, size, nil
}
