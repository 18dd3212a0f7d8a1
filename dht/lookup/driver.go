package lookup

import (
	"context"
	"errors"
	"fmt"

	"dyschord/dht"
)

// Driver runs the lookups of one node, its own and its part in those of others.
type Driver[S comparable] struct {
	env        dht.Env
	router     Router[S]
	space      dht.Space
	cfg        *Config
	pending    []*pending // own recursive lookups under way
	forwarding int        // activities that forward for others
}

// New returns a driver. The router sees keys of space only, whatever others ask for.
// cfg comes from [Config.Resolve].
func New[S comparable](env dht.Env, router Router[S], space dht.Space, cfg *Config) *Driver[S] {
	return &Driver[S]{env: env, router: router, space: space, cfg: cfg}
}

// Lookup finds up to n live owners of key, best first, in the style of the
// configuration. It fails with ErrTimeout when Config.Timeout has passed, with
// ErrNoRoute when nobody is left to ask, with ErrBusy when that is so only because all
// who were given up are busy, with ErrMalformed when key is not in the space, and with
// ctx's error when ctx ends. The Route is filled as far as the lookup went, owners that
// had answered included.
func (d *Driver[S]) Lookup(ctx context.Context, key dht.ID, n int) (dht.Route, error) {
	return d.timed(ctx, nil, key, n)
}

// Via is an iterative [Driver.Lookup] that begins at seed instead of here: the way
// into an overlay, or into the other part of one that was partitioned.
func (d *Driver[S]) Via(ctx context.Context, seed dht.Peer, key dht.ID, n int) (dht.Route, error) {
	return d.timed(ctx, &seed, key, n)
}

// timed looks up under the overall deadline and writes the route. It begins at seed,
// or here if that is nil.
func (d *Driver[S]) timed(ctx context.Context, seed *dht.Peer, key dht.ID, n int) (dht.Route, error) {
	if n < 1 || n > dht.MaxOwners {
		return dht.Route{Key: key}, fmt.Errorf("lookup %s: %d owners wanted: 1 to %d is allowed", key, n, dht.MaxOwners)
	}
	if err := d.inSpace(key); err != nil {
		return dht.Route{Key: key}, err
	}
	var s search[S]
	s.init(d, key, n)
	defer s.calls.Close()
	limited, cancel := d.env.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	var err error
	switch {
	case seed != nil:
		s.beginAt(*seed)
		err = s.run(limited)
	case d.cfg.Style == Recursive:
		err = d.recursive(limited, &s)
	default:
		s.begin()
		err = s.run(limited)
	}
	if err != nil && limited.Err() != nil && !errors.Is(err, dht.ErrClosed) {
		if err = ctx.Err(); err == nil {
			err = dht.ErrTimeout
		}
	}
	route := s.finish()
	route.Took = s.elapsed()
	if err != nil {
		return route, fmt.Errorf("lookup %s after %d hops: %w", key, len(route.Hops), err)
	}
	return route, nil
}

// Handle answers req if it belongs to lookups, and says whether it does. The
// overlay refuses requests itself while it is not a member.
func (d *Driver[S]) Handle(req dht.Message, r dht.Reply) bool {
	switch m := req.(type) {
	case *find[S]:
		if err := d.check(m); err != nil {
			r.Send(nil, err)
			return true
		}
		r.Send(d.answer(m), nil)
	case *suspect:
		if !m.Peer.IsZero() {
			d.router.Suspect(m.Peer)
		}
		r.Send(&ack{}, nil)
	case *forward[S]:
		d.handleForward(m, r)
	case *arrived:
		d.handleArrived(m, r)
	default:
		return false
	}
	return true
}

// check says what is wrong with a question, from whomever, if anything.
func (d *Driver[S]) check(m *find[S]) error {
	if err := m.validate(); err != nil {
		return err
	}
	return d.inSpace(m.Key)
}

func (d *Driver[S]) inSpace(key dht.ID) error {
	if !d.space.Contains(key) {
		return fmt.Errorf("lookup %s: not in a space of %d bits: %w", key, d.space.Width(), dht.ErrMalformed)
	}
	return nil
}

// ownerStep is an owner as a step, with the reason why namer names it.
func (d *Driver[S]) ownerStep(key dht.ID, namer, owner dht.Peer) Step[S] {
	step := Step[S]{Peer: owner}
	if r, ok := d.router.(OwnerReasoner); ok {
		step.Why = r.OwnerReason(key, namer, owner)
	}
	return step
}

// answer says what this node knows.
func (d *Driver[S]) answer(m *find[S]) *found[S] {
	n := int(m.N)
	if m.Role == atOwner {
		return &found[S]{Owners: d.router.Owners(m.Key, n)}
	}
	state := m.State
	if m.Role == atStart {
		state = d.router.Begin(m.Key)
	}
	steps, owners := d.router.Next(m.Key, state, n)
	return &found[S]{Steps: steps, Owners: owners}
}
