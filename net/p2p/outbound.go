package p2p

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"dyschord/dht"
	"dyschord/net/wire"
)

// outbound is the stream on which we ask a peer.
type outbound struct {
	l      *link
	stream network.Stream
	peer   dht.Peer // with the incarnation that answers here
	reader *reader
	writer *writer
	queue  *queue

	// Guarded by the link's lock.
	pending map[uint32]*call // by request id; those given up stay for a late answer
	lastID  uint32
	timer   *time.Timer // fires when the first pending call is due
	armed   time.Time   // when that is; zero: not set
	used    time.Time
	probed  time.Time // when a probe was sent last
	backed  time.Time // when the time-outs were doubled last

	active   atomic.Int32  // pending calls that somebody waits for
	heard    atomic.Int64  // unix nanoseconds of the last frame
	arriving atomic.Uint64 // 1 + id of the reply that is arriving in fragments
	fragment atomic.Int64  // unix nanoseconds of its latest fragment
	once     sync.Once
}

// latest is how long an answer may come after its call was given up and still teach
// the time-outs.
const latest = 30 * time.Second

func newOutbound(l *link, s network.Stream, p dht.Peer, r *reader, most int) *outbound {
	o := &outbound{
		l: l, stream: s, peer: p, reader: r,
		queue:   newQueue(l.h.cfg.SendBuffer),
		pending: map[uint32]*call{},
	}
	o.writer = l.h.newWriter(s, o.queue, most)
	o.writer.many = func() bool { return o.active.Load() > 1 }
	o.writer.refuse = func(p packet, err error) { o.give(p.call, err) }
	o.writer.wrote = func(p packet) { o.wrote(p.call) }
	o.timer = time.AfterFunc(time.Hour, o.expire)
	o.timer.Stop()
	o.heard.Store(time.Now().UnixNano())
	return o
}

// run starts the stream's two goroutines.
func (o *outbound) run() {
	ok := o.l.h.streams.start(func() {
		if err := o.writer.run(); err != nil {
			o.end(err)
			return
		}
		o.stream.CloseWrite()                                     //nolint:errcheck // the reader sees what comes of it
		o.stream.SetReadDeadline(time.Now().Add(o.l.h.cfg.Stall)) //nolint:errcheck // likewise
	})
	ok = ok && o.l.h.streams.start(func() { o.end(o.read()) })
	if !ok {
		o.end(dht.ErrClosed)
	}
}

// send queues x. The caller holds the link's lock.
func (o *outbound) send(x *call, now time.Time) error {
	if int(o.active.Load()) >= o.l.h.cfg.InFlight {
		return dht.ErrBusy
	}
	x.id = o.lastID + 1
	p := packet{head: wire.Header{Type: wire.Request, ID: x.id, Code: x.kind.Code}, msg: x.req, weight: x.weight, call: x}
	if err := o.queue.push(p); err != nil {
		return err
	}
	o.lastID = x.id
	o.pending[x.id] = x
	if x.set != nil {
		o.active.Add(1)
	}
	x.sent, o.used = now, now
	x.due = now.Add(o.l.times.of(x.kind.Waits))
	if x.weight >= longWeight && x.kind.Data {
		x.due = now.Add(o.l.h.cfg.Timeouts.Ceiling) // until it is written
	}
	o.arm(o.look(x, now))
	return nil
}

// wrote lets the time for the answer to a long message begin when its last byte has
// been written: others may have been before it.
func (o *outbound) wrote(x *call) {
	now := time.Now()
	o.l.mu.Lock()
	defer o.l.mu.Unlock()
	if o.pending[x.id] == x && x.set != nil {
		x.due = now.Add(o.l.times.of(x.kind.Waits))
		o.arm(o.look(x, now))
	}
}

// look is when to look at x next: when it is due, and before that, if it waits for
// other nodes, to see whether the connection lives.
func (o *outbound) look(x *call, now time.Time) time.Time {
	if x.kind.Waits != dht.Network {
		return x.due
	}
	if soon := now.Add(o.l.h.cfg.Stall / 2); soon.Before(x.due) {
		return soon
	}
	return x.due
}

// arm sees to it that the timer fires at due or earlier. The caller holds the lock.
func (o *outbound) arm(due time.Time) {
	if o.armed.IsZero() || due.Before(o.armed) {
		o.armed = due
		o.timer.Reset(time.Until(due))
	}
}

// expire gives up the calls that are due, and looks after the connection.
func (o *outbound) expire() {
	now := time.Now()
	o.l.mu.Lock()
	if o.pending == nil { // the stream has ended
		o.l.mu.Unlock()
		return
	}
	due := o.takeDue(now)
	lost := o.check(now, len(due) > 0 || o.active.Load() > 0)
	// One silence, however many wait in it: what was sent before it was noticed, and is
	// due a little later, says nothing new.
	silence := slices.ContainsFunc(due, func(d over) bool { return d.x.sent.After(o.backed) })
	if silence {
		o.backed = now
	}
	o.l.mu.Unlock()
	if silence {
		o.l.times.gaveUp()
	}
	for _, d := range due {
		d.set.finish(d.x, now, dht.Peer{}, nil, dht.ErrTimeout)
	}
	if lost {
		o.l.h.counters.Stalled.Add(1)
		o.abandon(fmt.Errorf("silent for %v", now.Sub(time.Unix(0, o.heard.Load())).Round(time.Millisecond)))
	}
}

// check probes a peer that is silent while requests wait, and says that the connection
// is lost when the probe was not answered. Silence alone proves nothing: this process
// may have been paused. Where the fragments of a long message still go out, an answer
// may be long behind them. The caller holds the lock.
func (o *outbound) check(now time.Time, waiting bool) (lost bool) {
	half := o.l.h.cfg.Stall / 2
	heard := time.Unix(0, max(o.heard.Load(), o.writer.moved.Load()))
	switch {
	case o.probed.After(heard) && !now.Before(o.probed.Add(half)):
		return true
	case o.probed.After(heard):
		o.arm(o.probed.Add(half))
	case waiting && !now.Before(heard.Add(half)):
		o.probed = now
		o.queue.push(probe) //nolint:errcheck // a queue that is full or closed shows in time
		o.arm(now.Add(half))
	}
	return false
}

// probe is a request that every node answers at once, with dht.ErrUnknownMessage: a
// sign of life. No call has its id.
var probe = packet{head: wire.Header{Type: wire.Request}}

// over is a call that nobody else can end any more, and who waits for it.
type over struct {
	x   *call
	set *calls
}

// takeDue collects the calls to give up and sets the timer for the next. A call whose
// reply is arriving gets more time. The caller holds the lock.
func (o *outbound) takeDue(now time.Time) (due []over) {
	o.armed = time.Time{}
	var next time.Time
	for id, x := range o.pending {
		switch {
		case x.set == nil:
			if now.Sub(x.due) > latest || len(o.pending) > 2*o.l.h.cfg.InFlight {
				delete(o.pending, id)
			}
			continue
		case now.Before(x.due):
		case o.arrives(x, now):
			x.due = now.Add(time.Second)
		default:
			o.active.Add(-1)
			due = append(due, over{x, x.set})
			x.set = nil
			continue
		}
		if look := o.look(x, now); next.IsZero() || look.Before(next) {
			next = look
		}
	}
	if !next.IsZero() {
		o.arm(next)
	}
	return due
}

// read dispatches replies until the stream ends.
func (o *outbound) read() error {
	assembler := o.l.h.codec.Assembler(wire.MaxData(o.l.h.cfg.MaxValue))
	for {
		frame, err := o.reader.next()
		if err != nil {
			return err
		}
		o.heard.Store(o.reader.now.UnixNano())
		message, whole, err := assembler.Add(frame)
		if err != nil {
			return err
		}
		o.follow(assembler, frame)
		if whole {
			if err := o.answer(message); err != nil {
				return err
			}
		}
	}
}

// follow notes which reply is arriving in fragments.
func (o *outbound) follow(a *wire.Assembler, f wire.Frame) {
	part, open := a.Partial()
	switch {
	case !open:
		o.arriving.Store(0)
	case part.ID == f.ID:
		o.fragment.Store(o.reader.now.UnixNano())
		o.arriving.Store(uint64(part.ID) + 1)
	}
}

// arrives says that the reply to x is under way: a fragment of it came a moment ago.
// The Env's ceiling holds all the same.
func (o *outbound) arrives(x *call, now time.Time) bool {
	return o.arriving.Load() == uint64(x.id)+1 &&
		now.Sub(time.Unix(0, o.fragment.Load())) < time.Second &&
		now.Before(x.sent.Add(o.l.h.cfg.Timeouts.Ceiling))
}

// answer gives a reply to the call that waits for it.
func (o *outbound) answer(f wire.Frame) error {
	if f.Type != wire.Reply && f.Type != wire.Failure {
		return fmt.Errorf("p2p: a frame of type %d in place of a reply: %w", f.Type, dht.ErrMalformed)
	}
	x, set := o.take(f.ID)
	if set == nil {
		return nil
	}
	if f.Type == wire.Failure {
		set.finish(x, o.reader.now, o.peer, nil, wire.DecodeFailure(f))
		return nil
	}
	msg, err := o.l.h.codec.DecodePayload(f.Code, f.Data, o.l.h.hear)
	if err != nil {
		// The peer has handled the request: no error of ours may say that it has not.
		msg, err = nil, &dht.Error{Code: dht.ErrGaveUp.Code, Text: fmt.Sprintf("the reply cannot be read: %v", err)}
	}
	set.finish(x, o.reader.now, o.peer, msg, err)
	return nil
}

// take removes a call from the table, learns from its answer, and returns who waits.
func (o *outbound) take(id uint32) (*call, *calls) {
	o.l.mu.Lock()
	defer o.l.mu.Unlock()
	x := o.pending[id]
	if x == nil {
		return nil, nil
	}
	if x.kind.Waits == dht.Never {
		o.l.times.learn(o.reader.now.Sub(x.sent))
	}
	return x, o.drop(x)
}

// drop removes a call from the table. The caller holds the lock.
func (o *outbound) drop(x *call) *calls {
	delete(o.pending, x.id)
	set := x.set
	x.set = nil
	if set != nil {
		o.active.Add(-1)
	}
	return set
}

// give ends a call that cannot be sent.
func (o *outbound) give(x *call, err error) {
	o.l.mu.Lock()
	set := o.drop(x)
	o.l.mu.Unlock()
	if set != nil {
		set.finish(x, time.Now(), dht.Peer{}, nil, err)
	}
}

// retire closes a stream that was not used for a while, and says whether it did.
// Replies that are still to come are waited for by the reader.
func (o *outbound) retire(now time.Time, idle time.Duration) bool {
	o.l.mu.Lock()
	defer o.l.mu.Unlock()
	if o.l.out != o || o.active.Load() > 0 || now.Sub(o.used) < idle {
		return false
	}
	o.l.out = nil
	o.queue.close()
	o.stream.SetWriteDeadline(now.Add(o.l.h.cfg.Stall)) //nolint:errcheck // a broken stream ends by itself
	return true
}

// abandon ends the stream and the connection under it, which does not work.
func (o *outbound) abandon(cause error) {
	o.end(cause)
	o.stream.Conn().Close() //nolint:errcheck // it is given up
}

// end closes the stream and ends its calls. Requests the writer has had may have been
// carried out; the others have not.
func (o *outbound) end(cause error) {
	o.once.Do(func() {
		o.l.h.streamEnded(o.l, cause)
		o.queue.close()
		o.stream.Reset() //nolint:errcheck // it is closed in any case
		o.timer.Stop()
		o.l.mu.Lock()
		if o.l.out == o {
			o.l.out = nil
		}
		calls := o.takeAll()
		o.l.mu.Unlock()
		for _, c := range calls {
			c.set.finish(c.x, time.Now(), dht.Peer{}, nil, o.fate(c.x))
		}
	})
}

// takeAll empties the table. The caller holds the lock.
func (o *outbound) takeAll() (all []over) {
	for _, x := range o.pending {
		if x.set != nil {
			all = append(all, over{x, x.set})
			x.set = nil
		}
	}
	o.pending = nil
	o.active.Store(0)
	return all
}

// fate says what became of a request whose stream was lost.
func (o *outbound) fate(x *call) error {
	switch {
	case o.l.h.ctx.Err() != nil:
		return dht.ErrClosed
	case x.taken.Load():
		return errLost
	}
	return errUnsent
}

// streamEnded logs why a stream ended, at the level the reason deserves.
func (h *Host) streamEnded(l *link, cause error) {
	switch {
	case errors.Is(cause, dht.ErrMalformed):
		h.counters.Malformed.Add(1)
		h.log.Warn("stream closed: the peer breaks the format", "peer", l.pid, "err", cause)
	case cause == nil || errors.Is(cause, io.EOF):
		h.log.Debug("stream ended", "peer", l.pid)
	default:
		h.log.Debug("stream lost", "peer", l.pid, "err", cause)
	}
}
