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
	var bare map[string]bool
	for {
		select {
		case <-h.netCtx.Done():
			return
		case now := <-ticker.C:
			for _, l := range h.links() {
				l.tidy(now)
			}
			bare = h.closeBare(bare)
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
	for _, pid := range h.book.sweep(held, now) {
		h.net.forget(pid)
	}
	h.dropLinks()
}

// dropLinks ends the links whose contacts are no longer in the book: forgotten, or
// displaced by newer ones.
func (h *Host) dropLinks() {
	for _, l := range h.links() {
		if _, _, known := h.book.where(l.ref); known {
			continue
		}
		h.linksMu.Lock()
		delete(h.byRef, l.ref)
		h.linksMu.Unlock()
		l.close()
		h.net.forget(l.pid)
	}
}

// closeBare closes the connections that have no streams and had none at the sweep
// before, whoever has opened them: they would keep others out. It returns those to
// look at again.
func (h *Host) closeBare(before map[string]bool) (bare map[string]bool) {
	bare = map[string]bool{}
	for _, c := range h.net.swarm.Conns() {
		switch {
		case len(c.GetStreams()) > 0:
		case before[c.ID()]:
			c.Close() //nolint:errcheck // there is nothing to be done about it
			if !h.book.knows(c.RemotePeer()) {
				h.net.forget(c.RemotePeer())
			}
		default:
			bare[c.ID()] = true
		}
	}
	return bare
}

// tidy retires l's streams if they are idle, and ends those that are stuck.
func (l *link) tidy(now time.Time) {
	l.mu.Lock()
	out, in := l.out, l.in
	l.mu.Unlock()
	if in != nil && in.writer.stuck(now, 3*l.h.cfg.Stall) {
		in.stream.Reset() //nolint:errcheck // the reader sees it
	}
	if out == nil {
		return
	}
	if out.writer.stuck(now, 3*l.h.cfg.Stall) {
		out.abandon(errors.New("it takes no more bytes"))
		return
	}
	out.retire(now, l.h.cfg.Idle)
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
