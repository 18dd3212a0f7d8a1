package kv

import (
	"context"
	"errors"
	"slices"
	"time"

	"dyschord/dht"
	"dyschord/kv/store"
)

const (
	maxMends  = 256  // slots looked after at once
	scanSlots = 2048 // slots looked at in one scan
)

// scan looks at the node's slots for what has to be done, a part of them at a time
// if there are very many.
func (n *Node) scan(context.Context) {
	if n.disk.failed != nil {
		return
	}
	n.ticks++
	now := n.now()
	news := newsletter{n: n}
	for range min(scanSlots, len(n.slots)) {
		s := n.slots[n.scanAt]
		n.scanAt = (n.scanAt + 1) % len(n.slots)
		if s == nil {
			continue
		}
		n.serve(s, now)
		n.observe(s, now)
		news.add(s, now)
		if !s.mending && n.mends < maxMends && n.needsMending(s, now) {
			n.mend(s)
		}
	}
	news.send()
	n.summarize()
}

// now is the time as the node's own upkeep counts it: it never jumps, and stands
// still while the node does. It is exact to a quarter of a heartbeat.
func (n *Node) now() time.Time {
	return time.Unix(0, 0).Add(time.Duration(n.ticks) * n.cfg.Heartbeat / 4)
}

// summarize logs what happened to slots since the last scan: one line for many.
func (n *Node) summarize() {
	for c, k := range n.decided {
		if k > 0 {
			n.env.Log().Info("configurations decided", "slots", k, "cause", cause(c).String())
		}
	}
	if n.took > 0 {
		n.env.Log().Info("became primary", "slots", n.took)
	}
	n.took, n.decided = 0, [causeFrozen + 1]int{}
}

// serve does a primary's small duties: to try again what was lost, to spread the
// commit, and to give up on clients that have waited too long.
func (n *Node) serve(s *slot, now time.Time) {
	l := s.lead
	if l == nil {
		return
	}
	if n.serving(s) {
		for i := range l.members {
			p := &l.members[i]
			if p.stuck && !n.dead(s.Cfg.Members[i]) {
				p.stuck = false
				n.enqueue(s, i)
			} else if p.known && p.acked == s.last && p.com < s.Com {
				n.enqueue(s, i)
			}
		}
		n.count(s)
	}
	if s.lead != l {
		return
	}
	waiting := l.waiters[:0:0]
	for _, w := range l.waiters {
		if now.Sub(w.since) > 2*n.cfg.Timeout {
			w.done(nil, ErrUnknown)
			continue
		}
		waiting = append(waiting, w)
	}
	l.waiters = waiting
}

// observe notes whom the overlay names for the slot, how long it has, and how long
// the slot has not been active.
func (n *Node) observe(s *slot, now time.Time) {
	u := &s.upkeep
	if s.Cfg.Epoch == 0 || !s.Cfg.has(n.self()) || n.active(s, s.Cfg.Epoch) {
		u.frozenAt = time.Time{}
	} else if u.frozenAt.IsZero() {
		u.frozenAt = now
		u.patience = n.jitter(2*n.cfg.Heartbeat, 4*n.cfg.Heartbeat)
	}
	if !n.active(s, s.Cfg.Epoch) {
		return
	}
	want := n.wanted(s, now)
	if !samePeers(want, u.want) {
		u.want, u.wantAt = want, now
	}
	if c := n.causeFor(s); c != u.cause {
		u.cause, u.causeAt = c, now
	}
}

// needsMending says whether there is something to do about the slot that takes
// other nodes or the disk.
func (n *Node) needsMending(s *slot, now time.Time) bool {
	u := &s.upkeep
	switch {
	case now.Before(u.notYet) || s.copying:
		return false
	case s.Dirty:
		return true
	case s.Next != nil && s.Next.has(n.self()):
		return true
	case s.Next != nil:
		return (s.last > 0 || s.Tag > 0 || s.Dirty) && now.After(u.sweepAt)
	case s.Cfg.Epoch == 0 || !s.Cfg.has(n.self()):
		return false
	case !n.active(s, s.Cfg.Epoch):
		return !u.frozenAt.IsZero() && now.Sub(u.frozenAt) >= u.patience
	}
	return n.due(s, now) && n.quorate(&s.Cfg)
}

// mendSoon looks after a slot now if there is room, else at a scan.
func (n *Node) mendSoon(s *slot) {
	if n.started && !s.mending && !s.copying && n.mends < maxMends && s.Next != nil && s.Next.has(n.self()) {
		n.mend(s)
	}
}

func (n *Node) mend(s *slot) {
	s.mending = true
	n.mends++
	n.env.Go("kv.mend", func(ctx context.Context) {
		epoch, next := s.Cfg.Epoch, s.Next
		err := n.mendOnce(ctx, s)
		s.mending = false
		n.mends--
		if err == nil && (s.Cfg.Epoch != epoch || s.Next != next) {
			s.upkeep.attempts = 0
			n.mendSoon(s)
			return
		}
		if err != nil {
			n.env.Log().Debug("repair of a slot did not end", "slot", s.id, "epoch", epoch, "err", err)
		}
		n.backOff(s)
	})
}

// backOff puts off the next attempt, longer each time.
func (n *Node) backOff(s *slot) {
	u, now := &s.upkeep, n.now()
	u.attempts = min(u.attempts+1, 6)
	pause := n.cfg.Heartbeat / 8 << u.attempts
	u.notYet = now.Add(n.jitter(pause/2, pause))
	u.frozenAt, u.patience = now, n.jitter(n.cfg.Heartbeat/4, n.cfg.Heartbeat)
}

// mendOnce does the one thing that the slot needs most.
func (n *Node) mendOnce(ctx context.Context, s *slot) error {
	switch {
	case s.Dirty && !s.copying:
		return n.abandon(s)
	case s.Next != nil && s.Next.has(n.self()):
		if s.upkeep.attempts > 1 {
			if n.inquire(ctx, s); s.Next == nil {
				return errChanged
			}
		}
		return n.install(ctx, s)
	case s.Next != nil:
		return n.sweep(ctx, s)
	case !n.active(s, s.Cfg.Epoch):
		return n.thaw(ctx, s)
	}
	return n.propose(ctx, s, plan{n.target(s), s.upkeep.cause})
}

// thaw gets a slot out of a reconfiguration that somebody began and did not end.
func (n *Node) thaw(ctx context.Context, s *slot) error {
	if n.inquire(ctx, s); s.Next != nil {
		return nil
	}
	if !n.installed(s, s.Cfg.Epoch) || !n.quorate(&s.Cfg) {
		return errNoQuorum
	}
	s.upkeep.want = n.wanted(s, n.now())
	return n.propose(ctx, s, plan{n.target(s), causeFrozen})
}

// sweep drops the data of a slot that this node has no part in any more, or was
// given for a proposal that came to nothing. Where the slot went is kept for ever.
func (n *Node) sweep(ctx context.Context, s *slot) error {
	s.upkeep.sweepAt = n.now().Add(n.jitter(n.cfg.Heartbeat, 2*n.cfg.Heartbeat))
	c, tag, promised := *s.Next, s.Tag, s.promised
	if tag > c.Epoch {
		n.inquire(ctx, s)
		return nil
	}
	if tag == c.Epoch && !n.leaving && n.now().Sub(s.upkeep.copiedAt) < copyKept*n.cfg.Heartbeat {
		return nil
	}
	answers := n.askAll(ctx, n.others(c.Members), s.id)
	if n.inForce(answers, s.id, c.Epoch, tag == c.Epoch) < c.majority() {
		return nil
	}
	if s.Next == nil || !s.Next.same(&c) || s.copying || s.Tag != tag || s.promised != promised {
		return nil
	}
	return n.release(s)
}

// copyKept is for how many heartbeats a copy is kept that no decision has used yet.
const copyKept = 60

// damaged looks for corruption in what the store says of a slot. A slot with a
// record that cannot be read is not served here any more: this node gives it up, and
// takes a new copy when it is named again.
func (n *Node) damaged(s *slot, err error) {
	if s.corrupt || !errors.Is(err, store.ErrCorrupt) {
		return
	}
	s.corrupt = true
	n.env.Log().Error("a record is corrupt: this node gives up its copy of the slot", "slot", s.id, "err", err)
	n.loseLead(s, s.Com, false)
}

// release drops the log and the index.
func (n *Node) release(s *slot) error {
	var b store.Batch
	b.Drop(s.id)
	if err := n.update(s, &b, func(st *state) { st.Tag, st.Com, st.Dirty = 0, 0, false }); err != nil {
		return err
	}
	s.jump(0)
	s.window, s.corrupt = window{}, false
	n.env.Emit(Released{Slot: s.id, Epoch: s.newest().Epoch})
	return nil
}

// inForce counts who of those that answered has installed the epoch. Data of the
// epoch before can go when a majority has. A copy of this very epoch was made for a
// proposal to end it, and can go when a majority is active in it: then no ballot
// stands that counts on the copy, since a ballot that does has frozen a majority
// before it asked for the copy, and the frozen never become active again.
func (n *Node) inForce(answers []dht.Result, id uint32, epoch uint64, active bool) int {
	k := 0
	for _, res := range answers {
		for _, at := range res.Msg.(*tell).Rows {
			if at.Slot == id && (at.Installed == epoch && !(active && at.Frozen) || at.Installed > epoch && !active) {
				k++
				break
			}
		}
	}
	return k
}

// newsletter collects what owners that the overlay names, and who hold nothing of a
// slot, should know of it, so that whoever looks the slot up is shown the way.
type newsletter struct {
	n   *Node
	to  []dht.Peer
	msg []*tell
}

const tellAgain = 30 * time.Second

func (l *newsletter) add(s *slot, now time.Time) {
	u := &s.upkeep
	if s.lead == nil || samePeers(u.told, u.want) && now.Sub(u.toldAt) < tellAgain {
		return
	}
	for _, p := range u.want {
		if s.Cfg.has(p) {
			continue
		}
		i := slices.IndexFunc(l.to, func(q dht.Peer) bool { return q.Same(p) })
		if i < 0 {
			i = len(l.to)
			l.to = append(l.to, p)
			l.msg = append(l.msg, &tell{Leaving: l.n.leaving})
		}
		if !l.n.describe(&l.msg[i].rows, s.id) {
			return // the rest at the next scan
		}
	}
	u.told, u.toldAt = u.want, now
}

func (l *newsletter) send() {
	for i, p := range l.to {
		l.n.env.Go("kv.news", func(ctx context.Context) { l.n.tellAll(ctx, []dht.Peer{p}, l.msg[i]) })
	}
}

// jitter is a random duration from low to high.
func (n *Node) jitter(low, high time.Duration) time.Duration {
	return low + time.Duration(n.env.Rand().Int64N(int64(high-low)+1))
}
