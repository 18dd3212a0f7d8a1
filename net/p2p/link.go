package p2p

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"dyschord/dht"
)

// link is all that goes on between this host and one peer: the stream we ask on and
// the one we are asked on. Its lock guards both streams' tables and is held for
// moments only; no other lock but the queues' and the book's is taken inside it.
type link struct {
	h   *Host
	ref uint32
	pid peer.ID

	owed      atomic.Int32 // replies the peer waits for, on all its streams
	owedBytes atomic.Int64 // of the requests that wait for these
	times     timeouts

	mu      sync.Mutex
	out     *outbound
	in      *inbound
	dialing bool
	waiting []*call // for the dial under way, in order
	weight  int     // of these
	fails   int     // dials that failed in a row
	until   time.Time
	cause   error // why calls end until then
	gone    bool  // the contact was forgotten
}

// start carries out x, dialling first where need be. An error ends it at once.
func (l *link) start(x *call) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	x.via = l
	switch {
	case l.gone:
		return errUnknownPeer
	case l.out != nil:
		return l.out.send(x, x.began)
	case l.dialing:
		return l.wait(x)
	case x.began.Before(l.until):
		return l.cause
	}
	if !l.h.streams.start(l.dial) {
		return dht.ErrClosed
	}
	l.dialing = true
	return l.wait(x)
}

func (l *link) wait(x *call) error {
	if len(l.waiting) >= l.h.cfg.InFlight || len(l.waiting) > 0 && l.weight+x.weight > l.h.cfg.SendBuffer {
		return dht.ErrBusy
	}
	l.waiting = append(l.waiting, x)
	l.weight += x.weight
	return nil
}

// cancel implements canceller.
func (l *link) cancel(x *call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if x.set == nil {
		return
	}
	x.set = nil
	if l.out != nil && l.out.pending[x.id] == x {
		l.out.active.Add(-1) // it stays in the table: a late answer still teaches
	}
}

// dial opens the stream that calls wait for.
func (l *link) dial() {
	ctx, cancel := context.WithTimeout(l.h.netCtx, l.h.cfg.DialTimeout)
	defer cancel()
	l.h.counters.Dials.Add(1)
	o, err := l.open(ctx)
	if err != nil {
		l.h.counters.DialFailures.Add(1)
		l.h.log.Debug("dial failed", "peer", l.pid, "err", err)
		l.fail(err)
		return
	}
	l.connected(o)
}

// connected puts the waiting calls on their way.
func (l *link) connected(o *outbound) {
	failed := map[*call]error{}
	now := time.Now()
	l.mu.Lock()
	calls := l.takeWaiting()
	l.fails, l.until = 0, time.Time{}
	l.out = o
	gone := l.gone
	stale := l.in
	if stale != nil && stale.from.Inc >= o.peer.Inc {
		stale = nil
	}
	for _, x := range calls {
		if err := o.send(x, now); err != nil {
			failed[x] = err
		}
	}
	l.mu.Unlock()
	for _, x := range calls {
		if err := failed[x]; err != nil {
			l.end(x, err)
		}
	}
	if stale != nil {
		stale.stream.Reset() //nolint:errcheck // the reader sees it
	}
	o.run()
	if gone {
		o.end(errUnknownPeer)
	}
}

// fail ends the waiting calls, and those of the next moments.
func (l *link) fail(err error) {
	if l.h.netCtx.Err() != nil {
		err = dht.ErrClosed
	}
	if errors.Is(err, dht.ErrUnreachable) {
		l.h.book.doubt(l.ref)
	}
	l.mu.Lock()
	calls := l.takeWaiting()
	l.until = time.Now().Add(l.h.pause(l.fails))
	l.fails++
	l.cause = err
	l.mu.Unlock()
	for _, x := range calls {
		l.end(x, err)
	}
}

func (l *link) takeWaiting() []*call {
	calls := l.waiting
	l.waiting, l.weight, l.dialing = nil, 0, false
	return calls
}

// end finishes x with an error unless somebody else did.
func (l *link) end(x *call, err error) {
	l.mu.Lock()
	set := x.set
	x.set = nil
	l.mu.Unlock()
	if set != nil {
		set.finish(x, time.Now(), dht.Peer{}, nil, err)
	}
}

// streams counts the open streams.
func (l *link) streams() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.out != nil {
		n++
	}
	if l.in != nil {
		n++
	}
	return n
}

// pause is how long not to dial after a number of earlier failures in a row:
// doubling, and between half and all of that.
func (h *Host) pause(fails int) time.Duration {
	d := h.cfg.RedialMin << min(fails, 20)
	if d > h.cfg.RedialMax || d <= 0 {
		d = h.cfg.RedialMax
	}
	return d/2 + randomUpTo(d/2)
}
