package kv

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"dyschord/dht"
	"dyschord/kv/store"
)

// Why a step of a reconfiguration ended early. They stay inside the package.
var (
	errChanged   = errors.New("the slot's state changed meanwhile")
	errOutvoted  = errors.New("a higher ballot stands against it")
	errNoQuorum  = errors.New("no majority answered")
	errNotStaged = errors.New("no majority of the next members has a copy")
	errBusy      = errors.New("a copy is in progress")
	errRefused   = errors.New("refused")
)

// plan is what a proposer wants: members in the overlay's order, the preferred
// primary first.
type plan struct {
	members []dht.Peer
	cause   cause
}

// propose ends the epoch that this node is an installed member of, with a
// successor decided by a majority of the members: the planned one, or what another
// proposer may have had decided already.
func (n *Node) propose(ctx context.Context, s *slot, p plan) error {
	base := s.Cfg
	if len(p.members) == 0 {
		p.members = base.Members
	}
	if n.serving(s) && n.countIn(&base, p.members) < len(p.members) {
		if err := n.copyAhead(ctx, s, &base, p); err != nil {
			return err
		}
	}
	if !n.installed(s, base.Epoch) || s.Next != nil {
		return errChanged
	}
	self := n.env.Self()
	b := ballot{N: max(s.Prom.N, s.upkeep.outvoted) + 1, Peer: self.ID, Boot: self.Inc}
	promises, err := n.prepareAll(ctx, s, &base, b, p.members[0])
	if err != nil {
		return err
	}
	value := adopted(promises)
	if value == nil {
		if value, err = n.choose(ctx, s, &base, b, p, promises); err != nil {
			return err
		}
	}
	if err := n.acceptAll(ctx, s, &base, b, *value); err != nil {
		return err
	}
	n.learn(s.id, value)
	n.env.Emit(Decided{Slot: s.id, Epoch: value.Epoch, Cause: p.cause.String()})
	n.decided[p.cause]++
	n.env.Log().Debug("configuration decided", "slot", s.id, "epoch", value.Epoch, "cause", p.cause.String())
	n.spread(s.id, union(base.Members, value.Members))
	return nil
}

// given is a promise and who gave it.
type given struct {
	by dht.Peer
	*promise
}

// prepareAll freezes this node and then a majority of the members. If first, which
// is to be the next primary, is one of them, it is waited for a little longer.
func (n *Node) prepareAll(ctx context.Context, s *slot, base *configuration, b ballot, first dht.Peer) ([]given, error) {
	msg := &prepare{Slot: s.id, Epoch: base.Epoch, Ballot: b}
	mine, err := ownReply[*promise](ctx, n, func(r dht.Reply) { n.onPrepare(msg, r) })
	if err != nil {
		return nil, err
	}
	if !mine.OK {
		return nil, errChanged
	}
	promises := []given{{n.self(), mine}}
	calls := n.env.Calls()
	defer calls.Close()
	for _, p := range n.others(base.Members) {
		calls.Start(p, msg)
	}
	for wait := 4 * n.cfg.Heartbeat; calls.Pending() > 0; {
		if len(promises) >= base.majority() {
			if !base.has(first) || n.dead(first) || hasGiven(promises, first) {
				break
			}
			wait = n.cfg.Heartbeat / 8
		}
		limited, cancel := n.env.WithTimeout(ctx, wait)
		res, err := calls.Next(limited)
		cancel()
		if err != nil {
			break
		}
		reply, ok := res.Msg.(*promise)
		if res.Err != nil || !ok {
			continue
		}
		if reply.OK {
			promises = append(promises, given{res.To, reply})
			continue
		}
		n.refused(s, reply.Prom, reply.Known)
		if s.Next != nil || s.Prom != b {
			return nil, errOutvoted
		}
	}
	switch {
	case s.Next != nil || s.Prom != b:
		return nil, errOutvoted
	case len(promises) < base.majority():
		return nil, errNoQuorum
	}
	return promises, nil
}

func hasGiven(promises []given, p dht.Peer) bool {
	return slices.ContainsFunc(promises, func(g given) bool { return g.by.Same(p) })
}

// refused learns from a refusal what stands against a ballot.
func (n *Node) refused(s *slot, prom ballot, c *configuration) {
	s.upkeep.outvoted = max(s.upkeep.outvoted, prom.N)
	n.learn(s.id, c)
}

// adopted is the value accepted at the highest ballot among the promises, which may
// have been decided: it is taken over unchanged. nil if there is none.
func adopted(promises []given) *configuration {
	var best *vote
	for _, p := range promises {
		if p.Acc != nil && (best == nil || best.Ballot.less(p.Acc.Ballot)) {
			best = p.Acc
		}
	}
	if best == nil {
		return nil
	}
	value := best.Value.normal()
	return &value
}

// choose makes the successor: the cut is the longest prefix that was promised, and
// a majority of the next members has a copy up to it before anybody may accept.
func (n *Node) choose(ctx context.Context, s *slot, base *configuration, b ballot, p plan, promises []given) (*configuration, error) {
	cut := uint64(0)
	for _, g := range promises {
		cut = max(cut, g.Last)
	}
	var have []dht.Peer
	for _, g := range promises {
		if g.Last >= cut {
			have = append(have, g.by)
		}
	}
	value := configuration{Epoch: base.Epoch + 1, Members: p.members, Cut: cut}
	have, err := n.stageAll(ctx, s, base, &value, have, n.cfg.Heartbeat/4)
	if err != nil {
		return nil, err
	}
	if s.Prom != b || s.Next != nil || !n.installed(s, base.Epoch) {
		return nil, errChanged
	}
	value.Primary = n.pickPrimary(base, value.Members, have)
	return &value, nil
}

// pickPrimary prefers the first of the members that has a copy already.
func (n *Node) pickPrimary(base *configuration, members, have []dht.Peer) uint8 {
	for i, p := range members {
		if contains(have, p) && !n.dead(p) && !n.isLeaving(p) {
			return uint8(i)
		}
	}
	return uint8(max(0, slices.IndexFunc(members, func(p dht.Peer) bool { return p.Same(base.primary()) })))
}

// acceptAll has a value accepted by a majority, this node first.
func (n *Node) acceptAll(ctx context.Context, s *slot, base *configuration, b ballot, value configuration) error {
	msg := &accept{Slot: s.id, Epoch: base.Epoch, Ballot: b, Value: value}
	mine, err := ownReply[*accepted](ctx, n, func(r dht.Reply) { n.onAccept(msg, r) })
	if err != nil {
		return err
	}
	if !mine.OK {
		return errOutvoted
	}
	votes := 1
	calls := n.env.Calls()
	defer calls.Close()
	for _, p := range n.others(base.Members) {
		calls.Start(p, msg)
	}
	ctx, cancel := n.env.WithTimeout(ctx, 4*n.cfg.Heartbeat)
	defer cancel()
	for votes < base.majority() {
		if calls.Pending() == 0 {
			return errNoQuorum
		}
		res, err := calls.Next(ctx)
		if err != nil {
			return errNoQuorum
		}
		if reply, ok := res.Msg.(*accepted); ok && res.Err == nil {
			if reply.OK {
				votes++
			} else {
				n.refused(s, reply.Prom, reply.Known)
			}
		}
	}
	return nil
}

// onPrepare freezes an installed member and promises, once that is on the disk,
// to take part in no lower ballot.
func (n *Node) onPrepare(m *prepare, r dht.Reply) {
	s := n.held(m.Slot)
	if s == nil {
		r.Send(&promise{known: n.newer(m.Slot, m.Epoch)}, nil)
		return
	}
	refuse := func() { r.Send(&promise{Prom: s.Prom, known: n.newer(m.Slot, m.Epoch)}, nil) }
	if !n.installed(s, m.Epoch) || s.Next != nil || !s.Prom.less(m.Ballot) {
		refuse()
		return
	}
	var b store.Batch
	if err := n.update(s, &b, func(st *state) { st.Prom = m.Ballot }); err != nil {
		r.Send(nil, fmt.Errorf("kv: promise for slot %d: %w", m.Slot, err))
		return
	}
	last, acc := s.last, s.Acc
	n.durably(func() {
		if !n.installed(s, m.Epoch) || s.Next != nil || s.Prom != m.Ballot {
			refuse()
			return
		}
		r.Send(&promise{OK: true, Last: last, Acc: acc}, nil)
	})
}

// onAccept accepts a value, unless a higher ballot was promised or this one carried
// another value.
func (n *Node) onAccept(m *accept, r dht.Reply) {
	s := n.held(m.Slot)
	if s == nil {
		r.Send(&accepted{known: n.newer(m.Slot, m.Epoch)}, nil)
		return
	}
	refuse := func() { r.Send(&accepted{Prom: s.Prom, known: n.newer(m.Slot, m.Epoch)}, nil) }
	value := m.Value.normal()
	if err := value.check(); err != nil || value.Epoch != m.Epoch+1 {
		r.Send(nil, dht.ErrMalformed)
		return
	}
	other := s.Acc != nil && s.Acc.Ballot == m.Ballot && !s.Acc.Value.same(&value)
	if !n.installed(s, m.Epoch) || s.Next != nil || m.Ballot.less(s.Prom) || other {
		refuse()
		return
	}
	var b store.Batch
	if err := n.update(s, &b, func(st *state) { st.Prom, st.Acc = m.Ballot, &vote{m.Ballot, value} }); err != nil {
		r.Send(nil, fmt.Errorf("kv: accept for slot %d: %w", m.Slot, err))
		return
	}
	n.durably(func() { r.Send(&accepted{OK: true}, nil) })
}

// replyFunc lets a node answer itself.
type replyFunc func(dht.Message, error)

// Send hands the reply over.
func (f replyFunc) Send(m dht.Message, err error) { f(m, err) }

// ownReply runs a handler of this node and waits for its reply.
func ownReply[R dht.Message](ctx context.Context, n *Node, handle func(dht.Reply)) (R, error) {
	var reply R
	var failed error
	done, sig := false, n.env.Signal()
	handle(replyFunc(func(m dht.Message, err error) {
		done, failed = true, err
		if err == nil {
			reply, failed = dht.As[R](m)
		}
		sig.Notify()
	}))
	for !done {
		if n.disk.failed != nil {
			return reply, n.disk.failed
		}
		if err := sig.Wait(ctx); err != nil {
			return reply, err
		}
	}
	return reply, failed
}

func union(a, b []dht.Peer) []dht.Peer {
	all := slices.Clone(a)
	for _, p := range b {
		if !contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}
