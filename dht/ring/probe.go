package ring

import (
	"context"
	"errors"
	"slices"
	"time"

	"dyschord/dht"
)

// outcome is what a request says about a peer.
type outcome uint8

const (
	unclear outcome = iota // nothing: one of the two is busy or stopping
	alive
	gone   // dead, or no member (any more)
	silent // no answer to one request
)

// place is what read finds out: who a peer is now, and its state.
type place struct {
	at dht.Peer
	*state
}

// read asks p for its place in the ring. Which run of p it is, the answer says: it
// is authenticated, and p perhaps hearsay.
func (r *Ring) read(ctx context.Context, p dht.Peer) (place, outcome) {
	st, from, outcome := ask[*state](ctx, r, p, &read{}, r.cfg.Tries)
	if outcome != alive {
		return place{}, outcome
	}
	if err := validList(r.cfg.Space, from, st.Succ); err != nil {
		r.env.Log().Warn("peer breaks the protocol", "peer", p, "err", err)
		return place{}, gone
	}
	return place{from, st}, alive
}

// ping asks, at most so many times, whether p lives and is a member, in whatever run.
func (r *Ring) ping(ctx context.Context, p dht.Peer, tries int) outcome {
	_, _, outcome := ask[*here](ctx, r, p, &ping{}, tries)
	return outcome
}

// ask sends req to p up to tries times, since one lost packet is no death, or until
// deadAfter has passed: the Env waits longest for a peer that it has given up again
// and again, which is evidence as well. Tries that fail at once, since a connection
// was lost and none can be made at the moment, are spread over that time: together
// they say no more than one. A peer that was taken for dead before is asked once, and
// one that answers but is no member is gone at once.
func ask[R dht.Message](ctx context.Context, r *Ring, p dht.Peer, req dht.Message, tries int) (R, dht.Peer, outcome) {
	var none R
	calls := r.env.Calls()
	defer calls.Close()
	if slices.Contains(r.lost, p) {
		tries = 1
	}
	began := r.env.Now()
	for try := range tries {
		calls.Start(p, req)
		res, err := calls.Next(ctx)
		if err != nil {
			return none, dht.Peer{}, unclear
		}
		if res.Err == nil {
			r.lost = without(r.lost, res.From)
			reply, err := dht.As[R](res.Msg)
			return reply, res.From, verdict(err)
		}
		if o := verdict(res.Err); o != silent {
			return none, dht.Peer{}, o
		}
		if r.env.Now().Sub(began) > deadAfter || try == tries-1 {
			break
		}
		if res.RTT < atOnce && r.env.Sleep(ctx, deadAfter/time.Duration(tries)-res.RTT) != nil {
			return none, dht.Peer{}, unclear
		}
	}
	return none, dht.Peer{}, gone
}

const (
	// deadAfter ends a series of unanswered requests early.
	deadAfter = 2 * time.Second
	// atOnce is sooner than any time-out.
	atOnce = 100 * time.Millisecond
)

// verdict is what the error of one request says about the peer.
func verdict(err error) outcome {
	switch {
	case err == nil:
		return alive
	case errors.Is(err, dht.ErrTimeout), errors.Is(err, dht.ErrUnreachable):
		return silent
	case errors.Is(err, dht.ErrRejected), errors.Is(err, dht.ErrMalformed), errors.Is(err, dht.ErrUnknownMessage):
		return gone
	}
	return unclear
}
