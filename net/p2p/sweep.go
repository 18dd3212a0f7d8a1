package p2p

import (
	"context"
	"errors"
	"time"
)

// sweepEvery is how often the host looks for what is no longer needed.
const sweepEvery = 5 * time.Second

// sweep closes idle and stuck streams, and forgets peers that nobody holds.
func (h *Host) sweep() {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-h.netCtx.Done():
			return
		case now := <-ticker.C:
			for _, l := range h.links() {
				l.tidy(now)
			}
			h.forget(now)
		}
	}
}

// forget drops the contacts that no service holds.
func (h *Host) forget(now time.Time) {
	held := map[uint32]bool{h.self.Ref: true}
	err := h.Do(h.ctx, func(context.Context) {
		for _, s := range h.serving {
			for p := range s.Peers() {
				held[p.Ref] = true
			}
		}
	})
	if err != nil {
		return
	}
	for _, l := range h.links() {
		if l.streams() > 0 {
			held[l.ref] = true
		}
	}
	for _, c := range h.book.sweep(held, now) {
		h.linksMu.Lock()
		l := h.byRef[c.ref]
		delete(h.byRef, c.ref)
		h.linksMu.Unlock()
		if l != nil {
			l.close()
		}
		h.net.forget(c.pid)
	}
}

// tidy retires l's streams if they are idle or stuck, and the connection if it has none.
func (l *link) tidy(now time.Time) {
	l.mu.Lock()
	out, in, dialing := l.out, l.in, l.dialing
	l.mu.Unlock()
	if in != nil && in.writer.stuck(now, 3*l.h.cfg.Stall) {
		in.stream.Reset() //nolint:errcheck // the reader sees it
	}
	switch {
	case out != nil:
		out.retire(now, l.h.cfg.Idle)
	case in == nil && !dialing && len(l.h.net.swarm.ConnsToPeer(l.pid)) > 0 && l.unused(now):
		l.h.net.swarm.ClosePeer(l.pid) //nolint:errcheck // there is nothing to be done about it
	}
}

// unused says that the connection without streams was found so by two sweeps in a
// row: the other side may be about to open one.
func (l *link) unused(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.bare.IsZero() || now.Sub(l.bare) > 2*sweepEvery
	l.bare = now
	return !first
}

// close ends l, whose contact was forgotten.
func (l *link) close() {
	l.mu.Lock()
	l.gone = true
	out := l.out
	l.mu.Unlock()
	if out != nil {
		out.end(errors.New("the contact was forgotten"))
	}
}

// stuck says whether a Write has not returned for that long.
func (w *writer) stuck(now time.Time, d time.Duration) bool {
	since := w.writing.Load()
	return since != 0 && now.Sub(time.Unix(0, since)) > d
}
