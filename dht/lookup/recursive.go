package lookup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dyschord/dht"
)

// maxForwarding bounds the recursive lookups a node forwards at once for others;
// more are refused as busy and take another way.
const maxForwarding = 256

// pending is an own recursive lookup whose end is awaited.
type pending struct {
	number uint64
	sig    dht.Signal
	end    *arrived
}

// recursive sends the lookup off, waits for its arrival, and settles the owners
// that have not spoken yet. One that gets lost is begun again.
func (d *Driver[S]) recursive(ctx context.Context, s *search[S]) error {
	s.origin(d.router.Begin(s.key))
	err := error(dht.ErrNoRoute)
	for range d.cfg.tries() {
		var end *arrived
		if end, err = d.sendOff(ctx, s); err == nil && len(end.Owners) > 0 {
			s.adopt(end)
			return s.run(ctx)
		}
		if err == nil {
			err = noRoute(end.Busy)
		}
		if ctx.Err() != nil {
			return err
		}
	}
	return err
}

// sendOff is one attempt: it returns what arrived.
func (d *Driver[S]) sendOff(ctx context.Context, s *search[S]) (*arrived, error) {
	// Random, so that an arrival for an earlier run of this node matches nothing.
	p := &pending{number: d.env.Rand().Uint64(), sig: d.env.Signal()}
	d.pending = append(slices.Clone(d.pending), p)
	defer d.forget(p)
	left := d.cfg.Timeout / time.Duration(d.cfg.tries())
	limited, cancel := d.env.WithTimeout(ctx, left)
	defer cancel()
	d.pass(limited, &forward[S]{
		Find:   find[S]{Key: s.key, State: s.at(0).State, N: s.width},
		Origin: d.env.Self(), Number: p.number, Left: uint32(left.Milliseconds()),
	})
	s.route.Rounds++
	for p.end == nil {
		if err := p.sig.Wait(limited); err != nil {
			s.route.Timeouts++
			return nil, fmt.Errorf("no arrival: %w", dht.ErrTimeout)
		}
	}
	s.route.Messages += int(p.end.Trail.Messages)
	s.route.Timeouts += int(p.end.Trail.Timeouts)
	return p.end, nil
}

func (d *Driver[S]) forget(p *pending) {
	kept := slices.DeleteFunc(slices.Clone(d.pending), func(q *pending) bool { return q == p })
	d.pending = slices.Clip(kept)
	if len(kept) == 0 {
		d.pending = nil
	}
}

// adopt enters the way an arrived lookup came and the owners it found.
func (s *search[S]) adopt(end *arrived) {
	from := 0
	s.answered = s.route.Rounds
	for _, m := range end.Trail.Hops {
		s.enter(&candidate[S]{
			Step: Step[S]{Peer: m.Peer, Why: m.Why}, from: int16(from), hops: s.at(from).hops + 1, status: live,
		})
		from = s.count - 1
	}
	last := *s.at(from)
	s.at(from).role, s.at(from).next = atOwner, nobody
	s.owners = int16(from)
	for _, p := range end.Owners {
		if !p.Same(last.Peer) {
			step := s.d.ownerStep(s.key, last.Peer, p)
			s.add(&candidate[S]{Step: step, from: int16(from), role: atOwner, hops: hops(&last, p)})
		}
	}
}

// handleForward acknowledges and goes on in an activity: nobody waits for the rest
// of the way.
func (d *Driver[S]) handleForward(m *forward[S], r dht.Reply) {
	err := m.validate()
	if err == nil {
		err = d.check(&m.Find)
	}
	if err != nil {
		r.Send(nil, err)
		return
	}
	if d.forwarding >= maxForwarding {
		r.Send(nil, dht.ErrBusy)
		return
	}
	d.forwarding++
	r.Send(&ack{}, nil)
	d.env.Go("lookup.forward", func(ctx context.Context) {
		defer func() { d.forwarding-- }()
		d.pass(ctx, m)
	})
}

// pass moves a recursive lookup to the next node that takes it, or ends it here. It stops
// when the origin waits no longer: that is told by how long it would, since clocks
// differ, and believed up to what this node itself would wait.
func (d *Driver[S]) pass(ctx context.Context, m *forward[S]) {
	left := min(time.Duration(m.Left)*time.Millisecond, d.cfg.Timeout)
	until := d.env.Now().Add(left)
	ctx, cancel := d.env.WithTimeout(ctx, left)
	defer cancel()
	self := d.env.Self()
	trail, busy, lost := m.Trail, false, false
	for _, step := range d.next(m) {
		if step.owner && step.Peer.Same(self) {
			d.arrive(ctx, m, trail)
			return
		}
		if len(trail.Hops) >= d.cfg.HopLimit {
			break
		}
		rest := until.Sub(d.env.Now()).Milliseconds()
		if rest <= 0 {
			return
		}
		trail.Messages++
		err := d.handOver(ctx, step, &forward[S]{Find: m.Find, Origin: m.Origin, Number: m.Number, Trail: trail, Left: uint32(rest)})
		if err == nil || ctx.Err() != nil {
			return
		}
		if errors.Is(err, dht.ErrBusy) {
			busy = true
			continue // it is alive
		}
		if lost = true; errors.Is(err, dht.ErrTimeout) {
			trail.Timeouts++
		}
		d.router.Suspect(step.Peer)
	}
	d.end(ctx, m, &arrived{Number: m.Number, Trail: trail, Busy: busy && !lost})
}

// handOver offers the lookup to step, and fails if it was not taken. An owner that is
// passed over wrongly is tried once more: by the next owner, as its predecessor.
func (d *Driver[S]) handOver(ctx context.Context, step choice[S], req *forward[S]) error {
	req.Trail.Hops = append(slices.Clone(req.Trail.Hops), move{step.Peer, step.Why})
	req.Find.State, req.Find.Role = step.State, onTheWay
	if step.owner {
		req.Find.Role = atOwner
	}
	limited, cancel := d.env.WithTimeout(ctx, d.cfg.HopTimeout)
	defer cancel()
	calls := d.env.Calls()
	defer calls.Close()
	calls.Start(step.Peer, req)
	res, err := calls.Next(limited)
	switch {
	case err != nil && limited.Err() != nil && !errors.Is(err, dht.ErrClosed):
		return dht.ErrTimeout
	case err != nil:
		return err
	case res.Err != nil:
		return res.Err
	}
	d.router.Answered(res.From, res.RTT)
	return nil
}

// choice is a step, or an owner with owner set.
type choice[S comparable] struct {
	Step[S]
	owner bool
}

// next lists where a recursive lookup may go from here, best first. Steps to this
// node itself are taken on the spot.
func (d *Driver[S]) next(m *forward[S]) []choice[S] {
	f := m.Find
	for range d.cfg.HopLimit {
		answer := d.answer(&f)
		choices := make([]choice[S], 0, len(answer.Owners)+len(answer.Steps))
		for _, p := range answer.Owners {
			choices = append(choices, choice[S]{d.ownerStep(f.Key, d.env.Self(), p), true})
		}
		here := Step[S]{Peer: d.env.Self(), State: f.State}
		for _, s := range answer.Steps {
			if d.router.Nearer(f.Key, s, here) {
				choices = append(choices, choice[S]{s, false})
			}
		}
		if len(choices) == 0 || choices[0].owner || !choices[0].Peer.Same(here.Peer) {
			return choices
		}
		f.State, f.Role = choices[0].State, onTheWay
	}
	return nil
}

// arrive ends the lookup at this node, its owner.
func (d *Driver[S]) arrive(ctx context.Context, m *forward[S], t trail) {
	self := d.env.Self()
	t.Hops = slices.Clone(t.Hops)
	if last := len(t.Hops) - 1; last >= 0 && t.Hops[last].Peer.Same(self) {
		t.Hops[last].Peer = self // as it is now, not as the node before knew it
	} else if last >= 0 {
		t.Hops = append(t.Hops, move{Peer: self})
	}
	owners := d.router.Owners(m.Find.Key, int(m.Find.N))
	d.end(ctx, m, &arrived{Number: m.Number, Owners: owners[:min(len(owners), dht.MaxOwners)], Trail: t})
}

// end tells the origin.
func (d *Driver[S]) end(ctx context.Context, m *forward[S], e *arrived) {
	if m.Origin.Same(d.env.Self()) {
		d.deliver(e)
		return
	}
	e.Trail.Messages++
	for range d.cfg.tries() {
		if _, err := dht.Ask[*ack](ctx, d.env, m.Origin, e); !errors.Is(err, dht.ErrTimeout) {
			return
		}
	}
}

func (d *Driver[S]) handleArrived(m *arrived, r dht.Reply) {
	if err := m.validate(); err != nil {
		r.Send(nil, err)
		return
	}
	r.Send(&ack{}, nil)
	d.deliver(m)
}

// deliver wakes the lookup that m ends, if it still waits.
func (d *Driver[S]) deliver(m *arrived) {
	for _, p := range d.pending {
		if p.number == m.Number && p.end == nil {
			p.end = m
			p.sig.Notify()
		}
	}
}
