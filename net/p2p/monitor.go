package p2p

import (
	"context"
	"sync"

	"dyschord/dht"
)

// monitor lets one activity of the node run at a time. Whoever leaves it passes it on
// to the oldest activity that waits for its first turn, so that activities begin in
// the order in which they were started, and never before their starter has blocked
// or returned.
type monitor struct {
	mu    sync.Mutex
	ready []func() // to begin; guarded by mu, as all protocol state is
}

// enter waits until no other activity runs.
func (m *monitor) enter() { m.mu.Lock() }

// leave lets others run.
func (m *monitor) leave() {
	if len(m.ready) == 0 {
		m.mu.Unlock()
		return
	}
	next := m.ready[0]
	m.ready[0] = nil
	m.ready = m.ready[1:]
	go next() // it has the monitor, and leaves it
}

// later starts an activity once the caller has left the monitor. The caller is inside.
func (h *Host) later(f func()) {
	if !h.activities.enter() {
		return
	}
	h.ready = append(h.ready, func() {
		defer h.activities.leave()
		defer h.leave()
		f()
	})
}

// Do runs f as an activity of the node, for callers from outside such as HTTP
// handlers, and returns when f has. The context that f gets ends with ctx and when
// the host closes. The error is dht.ErrClosed, or ctx's, if f was not run. It must
// not be called by an activity.
func (h *Host) Do(ctx context.Context, f func(context.Context)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !h.activities.enter() {
		return dht.ErrClosed
	}
	defer h.activities.leave()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	h.enter()
	defer h.leave()
	f(ctx)
	return nil
}
