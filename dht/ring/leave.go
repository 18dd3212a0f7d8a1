package ring

import (
	"context"
	"fmt"

	"dyschord/dht"
)

// Leave ends the upkeep and the membership: requests are refused from now on, and the
// neighbours are told. It waits for them, but a neighbour that does not answer will
// find out by itself, so there is no error for it.
func (r *Ring) Leave(ctx context.Context) error {
	if r.stop != nil {
		r.stop()
		r.stop = nil
	}
	if !r.member {
		return nil
	}
	r.member = false
	bye := &leave{Pred: r.pred, Succ: r.succ}
	calls := r.env.Calls()
	defer calls.Close()
	if s := r.Successor(); s != r.env.Self() {
		calls.Start(s, bye)
	}
	if !r.pred.IsZero() && !r.pred.Same(r.Successor()) {
		calls.Start(r.pred, bye)
	}
	for calls.Pending() > 0 {
		if _, err := calls.Next(ctx); err != nil {
			return fmt.Errorf("ring: leave: %w", err)
		}
	}
	return nil
}

// handleLeave lets from go. Its successor waits for the next predecessor to make
// itself known; its predecessor goes on with its list.
func (r *Ring) handleLeave(from dht.Peer, m *leave) error {
	if err := validList(r.cfg.Space, from, m.Succ); err != nil {
		return err
	}
	self := r.env.Self()
	if s := r.Successor(); s.Same(from) && s != self {
		list := without(m.Succ, self)
		if len(list) > 0 && dht.Between(s.ID, list[0].ID, self.ID) {
			r.fallback = nil
			r.setSuccessors(r.behind(list[0], list[1:]))
		} else {
			r.setSuccessors(without(r.succ, from))
		}
		r.env.Go("ring.stabilize", r.Stabilize)
	}
	if p := m.Pred; r.pred.Same(from) && !p.IsZero() && !p.Same(self) {
		r.env.Go("ring.rectify", func(ctx context.Context) { r.succeed(ctx, from, p) })
	}
	r.host.Lost(from)
	return nil
}

// succeed replaces left, a predecessor that has said good-bye, by the p it named,
// if p lives.
func (r *Ring) succeed(ctx context.Context, left, p dht.Peer) {
	if r.ping(ctx, p, r.cfg.Tries) == alive && r.pred.Same(left) && r.member {
		r.setPredecessor(p)
	}
}

// Handle answers req if it belongs to ring upkeep, and says whether it does.
func (r *Ring) Handle(from dht.Peer, req dht.Message, reply dht.Reply) bool {
	switch m := req.(type) {
	case *read:
		reply.Send(&state{Pred: r.pred, Succ: r.succ}, nil)
	case *notify:
		r.rectify(from)
		reply.Send(&here{}, nil)
	case *ping:
		reply.Send(&here{}, nil)
	case *leave:
		if err := r.handleLeave(from, m); err != nil {
			reply.Send(nil, err)
			return true
		}
		reply.Send(&here{}, nil)
	default:
		return false
	}
	return true
}
