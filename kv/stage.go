package kv

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dyschord/dht"
	"dyschord/kv/store"
)

// stageAll brings copies of the log up to value.Cut to the next members and waits
// until a majority of them has one, and up to grace for the others. have are nodes
// known to have it; it returns them with those that were added.
func (n *Node) stageAll(ctx context.Context, s *slot, base, value *configuration, have []dht.Peer, grace time.Duration) ([]dht.Peer, error) {
	if value.has(n.self()) && !s.holds(base.Epoch, value.Cut) {
		if err := n.copy(ctx, s, wanted{base.Epoch, value.Cut, false}, n.others(have)); err != nil {
			n.env.Log().Debug("own copy failed", "slot", s.id, "epoch", base.Epoch, "err", err)
		}
	}
	if s.holds(base.Epoch, value.Cut) && !contains(have, n.self()) {
		have = append(have, n.self())
	}
	msg := &stage{Slot: s.id, Base: *base, Need: value.Cut, Sources: have}
	calls := n.env.Calls()
	defer calls.Close()
	for _, p := range n.others(value.Members) {
		if !contains(have, p) && !n.dead(p) {
			calls.Start(p, msg)
		}
	}
	return n.awaitStaged(ctx, s, value, calls, have, grace)
}

func (n *Node) awaitStaged(ctx context.Context, s *slot, value *configuration, calls dht.Calls, have []dht.Peer, grace time.Duration) ([]dht.Peer, error) {
	prom, until := s.Prom, n.now().Add(grace)
	for calls.Pending() > 0 {
		enough := n.countIn(value, have) >= value.majority()
		wait := n.cfg.Heartbeat
		if enough {
			if wait = until.Sub(n.now()); wait <= 0 {
				break
			}
		}
		slice, cancel := n.env.WithTimeout(ctx, wait)
		res, err := calls.Next(slice)
		cancel()
		switch {
		case ctx.Err() != nil:
			return have, ctx.Err()
		case s.Prom != prom || s.Next != nil:
			return have, errChanged
		case err != nil && !enough && n.countLive(value) < value.majority():
			return have, errNotStaged
		case err != nil:
			continue
		}
		reply, ok := res.Msg.(*staged)
		switch {
		case res.Err == nil && ok && reply.OK:
			have = append(have, res.To)
		case res.Err == nil && ok:
			n.learn(s.id, reply.Known)
		default:
			n.unfit(res.To)
		}
	}
	if n.countIn(value, have) < value.majority() {
		return have, errNotStaged
	}
	return have, nil
}

func (n *Node) countIn(c *configuration, peers []dht.Peer) int {
	k := 0
	for _, p := range peers {
		if c.has(p) {
			k++
		}
	}
	return k
}

func (n *Node) countLive(c *configuration) int {
	k := 0
	for _, p := range c.Members {
		if !n.dead(p) {
			k++
		}
	}
	return k
}

// copyAhead copies to newcomers while the slot goes on serving, so that the freeze
// ships only what was written meanwhile. While a member is dead it waits less for
// those that a majority can do without.
func (n *Node) copyAhead(ctx context.Context, s *slot, base *configuration, p plan) error {
	next, grace := p.members, 30*n.cfg.Heartbeat
	if p.cause == causeDead {
		grace = 2 * n.cfg.Heartbeat
	}
	for range 3 {
		if !n.serving(s) || s.Cfg.Epoch != base.Epoch {
			return errChanged
		}
		goal := configuration{Epoch: base.Epoch + 1, Members: next, Cut: s.last}
		var have []dht.Peer
		for i, p := range s.lead.members {
			if p.acked >= goal.Cut {
				have = append(have, s.Cfg.Members[i])
			}
		}
		if !contains(have, n.self()) {
			have = append(have, n.self())
		}
		if _, err := n.stageAll(ctx, s, base, &goal, have, grace); err != nil {
			return err
		}
		const little = 64 // versions
		if s.last-goal.Cut <= little {
			return nil
		}
	}
	return nil
}

// onStage brings the own copy up to what is asked. It is not an acknowledgement of
// any write.
func (n *Node) onStage(m *stage, r dht.Reply) {
	base := m.Base.normal()
	if err := base.check(); err != nil || int(m.Slot) >= len(n.slots) || len(m.Sources) > maxMembers {
		r.Send(nil, dht.ErrMalformed)
		return
	}
	if n.leaving {
		r.Send(nil, ErrLeaving)
		return
	}
	n.env.Go("kv.stage", func(ctx context.Context) {
		err := n.stageHere(ctx, m.Slot, &base, m.Need, m.Sources)
		if s := n.slot(m.Slot); err == nil {
			switch { // read again what may have changed: the reply will be counted on
			case n.leaving:
				err = ErrLeaving
			case !s.holds(base.Epoch, m.Need):
				err = errChanged
			default:
				s.promised++
			}
		}
		if err != nil {
			n.env.Log().Debug("staging failed", "slot", m.Slot, "epoch", base.Epoch, "err", err)
		}
		r.Send(&staged{OK: err == nil, known: n.newer(m.Slot, base.Epoch)}, nil)
	})
}

func (n *Node) stageHere(ctx context.Context, id uint32, base *configuration, need uint64, sources []dht.Peer) error {
	s := n.slot(id)
	n.learn(id, base)
	if c := s.newest(); c == nil || c.Epoch != base.Epoch {
		return errChanged
	}
	if base.has(n.self()) && (!n.installed(s, base.Epoch) || n.active(s, base.Epoch)) {
		return errRefused // a member installs its epoch, and freezes, before it is given more of it
	}
	if !s.holds(base.Epoch, need) {
		if err := n.copy(ctx, s, wanted{base.Epoch, need, false}, n.others(sources)); err != nil {
			return err
		}
	}
	return n.flush(ctx)
}

// wanted is what a copy must have: the sequence of an epoch up to a version; newer
// allows that of the epoch after it.
type wanted struct {
	epoch uint64
	need  uint64
	newer bool
}

// copy makes the log hold what is wanted, from the first source that can give it.
// The slot is not active here: it is outside, frozen, or of an older epoch.
func (n *Node) copy(ctx context.Context, s *slot, w wanted, sources []dht.Peer) error {
	if s.copying {
		return errBusy
	}
	s.copying = true
	defer func() { s.copying = false }()
	if err := n.rebase(s, w.epoch); err != nil {
		return err
	}
	err := errNotStaged
	for _, p := range sources {
		if s.holds(w.epoch, w.need) {
			return nil
		}
		if err = n.copyFrom(ctx, s, p, w); err == nil {
			return nil
		}
		if undone := n.abandon(s); undone != nil {
			return undone
		}
	}
	return err
}

// rebase leaves of the log what is a prefix of epoch's sequence as well: all of it
// if it is of that epoch, else what is known to be committed.
func (n *Node) rebase(s *slot, epoch uint64) error {
	if err := n.abandon(s); err != nil {
		return err
	}
	switch {
	case s.Tag == epoch:
		return nil
	case s.Tag > epoch:
		return errChanged
	case s.Cfg.Epoch > 0 && s.Next == nil:
		return errRefused // still in force
	}
	keep := s.Com
	for _, c := range s.configurations() {
		if c != &s.Cfg && s.Acc != nil && c == &s.Acc.Value {
			continue // not known to be decided
		}
		if c.Epoch == s.Tag+1 {
			keep = max(keep, min(s.last, c.Cut))
		}
	}
	if keep == s.last {
		return nil
	}
	var b store.Batch
	b.Truncate(s.id, keep)
	if err := n.apply(&b); err != nil {
		return err
	}
	s.shorten(keep)
	return nil
}

// abandon drops a copy that was not finished: what was there before it remains.
func (n *Node) abandon(s *slot) error {
	if !s.Dirty {
		return nil
	}
	var b store.Batch
	b.Truncate(s.id, s.Base)
	if err := n.update(s, &b, func(st *state) { st.Dirty = false }); err != nil {
		return err
	}
	s.window.shorten(s.last)
	n.env.Emit(Abandoned{Slot: s.id})
	return nil
}

// copyFrom receives a copy page by page. The log is marked as unfinished before the
// first record and belongs to the new epoch from the last one on: a part of it is no
// prefix of anything, since superseded records are left out.
func (n *Node) copyFrom(ctx context.Context, s *slot, from dht.Peer, w wanted) error {
	req := &fetch{Slot: s.id, After: s.last, Epoch: w.epoch, Need: w.need, Newer: w.newer}
	started, tag, bytes, pages := n.env.Now(), s.Tag, 0, 0
	for first := (*page)(nil); ; {
		pg, err := n.fetchPage(ctx, from, req)
		if err != nil {
			return fmt.Errorf("fetch from %s: %w", from, err)
		}
		if pg.Session == 0 {
			n.learn(s.id, pg.Known)
			return fmt.Errorf("fetch from %s: %w", from, errRefused)
		}
		if err := n.checkPage(pg, first, req, w); err != nil {
			return fmt.Errorf("fetch from %s: %w", from, err)
		}
		if s.Tag != tag {
			return errChanged
		}
		if err := n.keepPage(s, pg); err != nil {
			return err
		}
		pages++
		for i := range pg.Records {
			bytes += pg.Records[i].size()
		}
		if pg.Done {
			n.env.Emit(Copied{Slot: s.id, Bytes: bytes, Pages: pages, Took: n.env.Now().Sub(started)})
			if err := n.flush(ctx); err != nil {
				return err
			}
			return n.advanceSlowly(ctx, s, min(pg.Com, pg.To))
		}
		if err := n.flush(ctx); err != nil {
			return err
		}
		first = pg
		req = &fetch{Slot: s.id, Session: pg.Session, After: pg.Records[len(pg.Records)-1].Seq, Epoch: w.epoch, Need: w.need, Newer: w.newer}
	}
}

// fetchPage asks for a page, again and again for a while if the source is busy.
func (n *Node) fetchPage(ctx context.Context, from dht.Peer, req *fetch) (*page, error) {
	wait, until := n.cfg.Heartbeat/50, n.now().Add(10*n.cfg.Heartbeat)
	for {
		pg, err := dht.Ask[*page](ctx, n.env, from, req)
		if !errors.Is(err, dht.ErrBusy) || n.now().After(until) {
			return pg, err
		}
		if err := n.env.Sleep(ctx, n.jitter(wait/2, wait)); err != nil {
			return nil, err
		}
		wait = min(2*wait, n.cfg.Heartbeat/2)
	}
}

// checkPage refuses a page that is not the next part of the copy asked for.
func (n *Node) checkPage(pg, first *page, req *fetch, w wanted) error {
	if err := checkRecords(pg.Records, req.After, &n.cfg); err != nil {
		return err
	}
	right := pg.Epoch == w.epoch && pg.To >= w.need || w.newer && pg.Epoch == w.epoch+1
	if first != nil {
		right = pg.Epoch == first.Epoch && pg.To == first.To && pg.Session == first.Session
	}
	end := req.After
	if len(pg.Records) > 0 {
		end = pg.Records[len(pg.Records)-1].Seq
	}
	if !right || end > pg.To || pg.Done && end != pg.To || !pg.Done && len(pg.Records) == 0 {
		return fmt.Errorf("%w: page of epoch %d to %d ends at %d", dht.ErrMalformed, pg.Epoch, pg.To, end)
	}
	return nil
}

// keepPage adds a page to the log in one batch with what the log then is.
func (n *Node) keepPage(s *slot, pg *page) error {
	var b store.Batch
	for i := range pg.Records {
		b.Append(s.id, pg.Records[i].toStore())
	}
	base := s.last
	if s.Dirty {
		base = s.Base
	}
	if err := n.update(s, &b, func(st *state) {
		st.Dirty, st.Base = !pg.Done, base
		if pg.Done {
			st.Tag = pg.Epoch
		}
	}); err != nil {
		return err
	}
	for i := range pg.Records {
		s.window.add(pg.Records[i].Seq, pg.Records[i].Request, pg.Com)
	}
	if pg.Done {
		s.jump(pg.To)
		s.upkeep.copiedAt = n.now()
	}
	return nil
}
