package kv

import (
	"context"
	"errors"
	"time"

	"dyschord/dht"
	"dyschord/kv/store"
)

// reads are the gets at this node as primary. Each waits for a round that begins
// after it arrived, in which a majority says that its epoch is still in force; then
// it is answered from the index of what is committed.
type reads struct {
	next    []*read // for the next round
	rounds  int     // in progress
	ready   []*read // confirmed
	reading bool    // an activity answers the confirmed ones
}

type read struct {
	s     *slot
	epoch uint64
	key   []byte
	done  func(*response, error)
}

const (
	maxRounds     = 8
	maxRoundReads = 1024
)

// get answers a read at the primary. vouched says that another member was active in
// the epoch when it sent the read on. The caller has checked that the node serves
// the slot.
func (n *Node) get(s *slot, key []byte, vouched bool, done func(*response, error)) {
	rd := &read{s, s.Cfg.Epoch, key, done}
	votes := 1
	if vouched {
		votes++
	}
	if votes >= s.Cfg.majority() {
		n.confirmed(rd)
		return
	}
	n.reads.next = append(n.reads.next, rd)
	n.startRound()
}

func (n *Node) startRound() {
	if n.reads.rounds < maxRounds && len(n.reads.next) > 0 {
		n.reads.rounds++
		n.env.Go("kv.confirm", func(ctx context.Context) {
			n.round(ctx)
			n.reads.rounds--
			n.startRound()
		})
	}
}

// tally counts the members that confirmed a slot's epoch in one round.
type tally struct {
	s     *slot
	epoch uint64
	votes int
	reads []*read
}

// round asks the members of all slots with waiting reads, one message to each.
func (n *Node) round(ctx context.Context) {
	open := n.tallies()
	calls := n.env.Calls()
	defer calls.Close()
	asked := make(map[dht.Message][]*tally)
	for _, b := range n.ballots(open) {
		asked[b.msg] = b.tallies
		calls.Start(b.to, b.msg)
	}
	ctx, cancel := n.env.WithTimeout(ctx, 2*n.cfg.Heartbeat)
	defer cancel()
	for len(open) > 0 && calls.Pending() > 0 {
		res, err := calls.Next(ctx)
		if err != nil {
			break
		}
		reply, ok := res.Msg.(*confirmed)
		about := asked[res.Req]
		if res.Err != nil || !ok || len(reply.OK) != len(about) {
			continue
		}
		for i, t := range about {
			if reply.OK[i] == 1 {
				t.votes++
			}
		}
		open = n.settle(open)
	}
	for _, t := range open {
		for _, rd := range t.reads {
			rd.done(nil, ErrUnavailable)
		}
	}
}

// tallies takes the waiting reads, by slot, in the order of arrival.
func (n *Node) tallies() []*tally {
	var open []*tally
	bySlot := make(map[slotEpoch]*tally)
	k := min(len(n.reads.next), maxRoundReads)
	for _, rd := range n.reads.next[:k] {
		at := slotEpoch{Slot: rd.s.id, Epoch: rd.epoch}
		if !n.stillServing(rd) {
			rd.done(&response{Moved: true, known: known{rd.s.newest()}}, nil)
			continue
		}
		t := bySlot[at]
		if t == nil {
			t = &tally{s: rd.s, epoch: rd.epoch, votes: 1}
			bySlot[at] = t
			open = append(open, t)
		}
		t.reads = append(t.reads, rd)
	}
	n.reads.next = append([]*read(nil), n.reads.next[k:]...)
	return open
}

// question is what one member is asked in a round.
type question struct {
	to      dht.Peer
	msg     *confirm
	tallies []*tally
}

func (n *Node) ballots(open []*tally) []*question {
	var all []*question
	byPeer := make(map[uint32]*question)
	self := n.self()
	for _, t := range open {
		for _, p := range t.s.Cfg.Members {
			if p.Same(self) {
				continue
			}
			q := byPeer[p.Ref]
			if q == nil {
				q = &question{to: p, msg: new(confirm)}
				byPeer[p.Ref] = q
				all = append(all, q)
			}
			q.msg.Slots = append(q.msg.Slots, slotEpoch{Slot: t.s.id, Epoch: t.epoch})
			q.tallies = append(q.tallies, t)
		}
	}
	return all
}

// settle passes on the reads of slots that a majority confirmed, and returns the
// others.
func (n *Node) settle(open []*tally) []*tally {
	left := open[:0:0]
	for _, t := range open {
		if t.votes < t.s.Cfg.majority() {
			left = append(left, t)
			continue
		}
		for _, rd := range t.reads {
			n.confirmed(rd)
		}
	}
	return left
}

func (n *Node) stillServing(rd *read) bool {
	return n.serving(rd.s) && rd.s.Cfg.Epoch == rd.epoch
}

// confirmed answers rd from the index, soon.
func (n *Node) confirmed(rd *read) {
	n.reads.ready = append(n.reads.ready, rd)
	if !n.reads.reading {
		n.reads.reading = true
		n.env.Go("kv.read", n.answerReads)
	}
}

func (n *Node) answerReads(ctx context.Context) {
	defer func() { n.reads.reading = false }()
	const most = 64
	for len(n.reads.ready) > 0 {
		k := min(len(n.reads.ready), most)
		batch := n.reads.ready[:k]
		n.reads.ready = append([]*read(nil), n.reads.ready[k:]...)
		found := make([]store.Record, k)
		errs := make([]error, k)
		if err := n.env.Block(ctx, func() error {
			for i, rd := range batch {
				found[i], errs[i] = n.store.Lookup(rd.s.id, rd.key)
			}
			return nil
		}); err != nil {
			for _, rd := range batch {
				rd.done(nil, ErrUnavailable)
			}
			continue
		}
		for i, rd := range batch {
			n.answer(rd, &found[i], errs[i])
		}
	}
}

func (n *Node) answer(rd *read, rec *store.Record, err error) {
	switch {
	case !n.stillServing(rd):
		rd.done(&response{Moved: true, known: known{rd.s.newest()}}, nil)
	case errors.Is(err, store.ErrNotFound), err == nil && rec.Deleted:
		rd.done(nil, ErrNotFound)
	case err != nil:
		n.damaged(rd.s, err)
		rd.done(nil, ErrUnavailable)
	default:
		rd.done(&response{
			Version: rec.Seq, Value: rec.Value, Type: rec.Type, Modified: rec.Modified.UnixNano(), Last: rd.s.Com,
		}, nil)
	}
}

// onConfirm says for each slot whether this node is active in the epoch: exactly in
// that one. It is answered from memory.
func (n *Node) onConfirm(m *confirm) *confirmed {
	reply := &confirmed{OK: make([]byte, min(len(m.Slots), maxRoundReads))}
	for i := range reply.OK {
		if s := n.held(m.Slots[i].Slot); s != nil && n.active(s, m.Slots[i].Epoch) {
			reply.OK[i] = 1
		}
	}
	return reply
}

// timeOf reads a time of the wire.
func timeOf(nanoseconds int64) time.Time { return time.Unix(0, nanoseconds) }
