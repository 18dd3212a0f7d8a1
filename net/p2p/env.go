package p2p

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"dyschord/dht"
)

// env is the host as protocol code sees it.
type env struct{ *Host }

// Env returns the world of this node, for the services that Serve is given.
func (h *Host) Env() dht.Env { return env{h} }

// Now implements dht.Clock.
func (e env) Now() time.Time { return time.Now() }

// Sleep implements dht.Clock.
func (e env) Sleep(ctx context.Context, d time.Duration) error {
	if err := e.over(ctx); err != nil {
		return err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	e.leave()
	defer e.enter()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return e.over(ctx)
	case <-e.ctx.Done():
		return dht.ErrClosed
	}
}

// over returns the error with which a blocking call ends under ctx, if it does.
func (h *Host) over(ctx context.Context) error {
	if h.ctx.Err() != nil {
		return dht.ErrClosed
	}
	return ctx.Err()
}

// WithTimeout implements dht.Clock.
func (e env) WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, d)
}

// Go implements dht.Tasks.
func (e env) Go(_ string, f func(context.Context)) {
	e.later(func() { f(e.ctx) })
}

// Every implements dht.Tasks.
func (e env) Every(name string, d, jitter time.Duration, f func(context.Context)) (stop func()) {
	if d <= 0 || jitter < 0 || jitter > d {
		panic(fmt.Sprintf("p2p: Every(%q, %v, %v): a positive interval and a jitter of 0 to the interval are allowed", name, d, jitter))
	}
	p := &periodic{h: e.Host, d: d, jitter: jitter, f: f}
	p.timer = time.AfterFunc(time.Duration(e.rand.Int64N(int64(d))), p.run)
	p.unlink = context.AfterFunc(e.ctx, func() { p.timer.Stop() })
	return p.stop
}

// periodic is what Every repeats. Between runs it is a timer.
type periodic struct {
	h         *Host
	d, jitter time.Duration
	f         func(context.Context)
	timer     *time.Timer
	unlink    func() bool
	stopped   bool // guarded by the monitor
}

func (p *periodic) run() {
	if !p.h.activities.enter() {
		return
	}
	defer p.h.activities.leave()
	p.h.enter()
	defer p.h.leave()
	if p.stopped || p.h.ctx.Err() != nil {
		return
	}
	p.f(p.h.ctx)
	if !p.stopped && p.h.ctx.Err() == nil {
		wait := p.d
		if p.jitter > 0 {
			wait += time.Duration(p.h.rand.Int64N(2*int64(p.jitter)+1)) - p.jitter
		}
		p.timer.Reset(wait)
	}
}

func (p *periodic) stop() {
	p.stopped = true
	p.timer.Stop()
	p.unlink()
}

// Signal implements dht.Tasks.
func (e env) Signal() dht.Signal { return &signal{h: e.Host} }

// signal is a condition; the monitor guards it.
type signal struct {
	h      *Host
	notify chan struct{} // closed by Notify; nil if nobody waits
}

// Wait implements dht.Signal.
func (s *signal) Wait(ctx context.Context) error {
	if err := s.h.over(ctx); err != nil {
		return err
	}
	if s.notify == nil {
		s.notify = make(chan struct{})
	}
	notified := s.notify
	s.h.leave()
	defer s.h.enter()
	select {
	case <-notified:
		return nil
	case <-ctx.Done():
		return s.h.over(ctx)
	case <-s.h.ctx.Done():
		return dht.ErrClosed
	}
}

// Notify implements dht.Signal.
func (s *signal) Notify() {
	if s.notify != nil {
		close(s.notify)
		s.notify = nil
	}
}

// Block implements dht.Tasks.
func (e env) Block(ctx context.Context, f func() error) error {
	if err := e.over(ctx); err != nil {
		return err
	}
	e.leave()
	defer e.enter()
	return f()
}

// Self implements dht.Contacts.
func (e env) Self() dht.Peer { return e.self }

// Record implements dht.Contacts.
func (e env) Record(p dht.Peer) []byte { return e.book.record(p.Ref) }

// Intern implements dht.Contacts.
func (e env) Intern(record []byte) (dht.Peer, error) { return e.book.hear(record) }

// Calls implements dht.Env.
func (e env) Calls() dht.Calls { return e.newCalls() }

// Rand implements dht.Env.
func (e env) Rand() *rand.Rand { return e.rand }

// Log implements dht.Env.
func (e env) Log() *slog.Logger { return e.log }

// Emit implements dht.Env.
func (e env) Emit(ev dht.Event) { e.emit(ev) }
