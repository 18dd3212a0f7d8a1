package p2p

import (
	"sync"
	"time"

	"dyschord/dht"
)

// local carries out the requests of a node to itself: through the handlers, like all
// others, but without encoding them.
type local struct {
	h  *Host
	mu sync.Mutex // guards the sets of its calls
}

// start enters the handler once the caller has blocked or returned.
func (l *local) start(x *call) error {
	service := l.h.services[x.kind.Code]
	if service == nil {
		return dht.ErrUnknownMessage
	}
	x.via = l
	r := &localReply{l: l, x: x}
	r.timer = time.AfterFunc(l.h.cfg.Timeouts.Ceiling, func() { l.end(x, nil, dht.ErrTimeout) })
	l.h.later(func() { service.Handle(l.h.self, x.req, r) })
	return nil
}

// cancel implements canceller.
func (l *local) cancel(x *call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x.set = nil
}

func (l *local) end(x *call, m dht.Message, err error) {
	l.mu.Lock()
	set := x.set
	x.set = nil
	l.mu.Unlock()
	if set != nil {
		set.finish(x, time.Now(), l.h.self, m, err)
	}
}

// localReply is dht.Reply to a request of the node to itself.
type localReply struct {
	l     *local
	x     *call
	timer *time.Timer
	sent  bool // guarded by the monitor
}

// Send implements dht.Reply.
func (r *localReply) Send(m dht.Message, err error) {
	if r.sent {
		panic("p2p: two replies to one request of the node to itself")
	}
	r.sent = true
	r.timer.Stop()
	if err != nil {
		m, err = nil, dht.AsError(err)
	}
	r.l.end(r.x, m, err)
}
