package ring

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"dyschord/dht"
)

// Host is the overlay whose ring this is.
type Host interface {
	// Locate looks the owners of key up, beginning at via: at most n, best first.
	Locate(ctx context.Context, via dht.Peer, key dht.ID, n int) ([]dht.Peer, error)
	// Lost hears that p was found dead. It must not block.
	Lost(p dht.Peer)
	// Table is the peers that the overlay knows beside the ring's. It is not changed.
	Table() []dht.Peer
}

// Join enters the ring of the seeds, trying each once, or founds one when there are
// none. It fails with ErrTaken if another node has this one's identifier.
func (r *Ring) Join(ctx context.Context, seeds []dht.Peer) error {
	if r.member {
		return nil
	}
	// What an earlier membership has left says nothing of this one.
	r.pred, r.fallback, r.lost, r.gap = dht.Peer{}, nil, nil, dht.ID{}
	r.setSuccessors(nil)
	if len(seeds) == 0 {
		r.member = true
		return nil
	}
	r.seeds = slices.Clone(seeds[:min(len(seeds), maxSeeds)])
	failed := fmt.Errorf("ring: join: this node is its own only seed: %w", dht.ErrNoRoute)
	for _, seed := range seeds {
		if seed.Same(r.env.Self()) {
			continue
		}
		err := r.joinVia(ctx, seed)
		if err == nil || ctx.Err() != nil || errors.Is(err, dht.ErrClosed) {
			return err
		}
		failed = fmt.Errorf("ring: join via %s: %w", seed, err)
	}
	return failed
}

// joinVia finds a member m with this node between m and m's successor, takes m's
// list and m as predecessor, and stabilizes at once.
func (r *Ring) joinVia(ctx context.Context, seed dht.Peer) error {
	self := r.env.Self()
	owners, err := r.host.Locate(ctx, seed, self.ID, 4)
	if err != nil {
		return err
	}
	owners = without(owners, self) // an earlier run of this node
	if len(owners) == 0 {
		return dht.ErrNoRoute
	}
	if owners[0].ID == self.ID {
		return fmt.Errorf("identifier %s belongs to another node: %w", self.ID, dht.ErrTaken)
	}
	if err := r.enter(ctx, owners[0]); err != nil {
		return err
	}
	r.member = true
	r.Stabilize(ctx)
	return nil
}

// enter takes a place next to s, the node that owns this node's identifier now.
func (r *Ring) enter(ctx context.Context, s dht.Peer) error {
	self := r.env.Self()
	atS, outcome := r.read(ctx, s)
	if outcome != alive {
		return fmt.Errorf("successor %s: %w", s, dht.ErrUnreachable)
	}
	m := atS.Pred
	if len(atS.Succ) == 0 { // s was alone
		m = s
	}
	// m's successor may be a node that joined a moment ago, so look after it too.
	for range 8 {
		if m.IsZero() || m.Same(self) || m != s && !dht.Between(m.ID, self.ID, s.ID) {
			break
		}
		atM, outcome := r.read(ctx, m)
		if outcome != alive {
			break
		}
		next := without(atM.Succ, self)
		if len(next) == 0 || dht.Between(m.ID, self.ID, next[0].ID) {
			r.pred = atM.at
			r.take(next, atM.at)
			return nil
		}
		m = next[0]
	}
	// No live predecessor is known: it will make itself known to this node.
	r.pred = dht.Peer{}
	r.take(append([]dht.Peer{atS.at}, without(atS.Succ, self)...), atS.at)
	return nil
}

// take sets the first list: next, or m alone if m knows of nobody else.
func (r *Ring) take(next []dht.Peer, m dht.Peer) {
	if len(next) == 0 {
		next = []dht.Peer{m}
	}
	r.setSuccessors(r.behind(next[0], next[1:]))
}
