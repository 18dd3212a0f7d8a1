package p2p

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"dyschord/dht"
	"dyschord/net/wire"
)

// inbound is the stream on which a peer asks us.
type inbound struct {
	l      *link
	stream network.Stream
	from   dht.Peer // with its incarnation
	reader *reader
	writer *writer
	queue  *queue
	done   chan struct{} // closed when no handler will be entered any more

	handling atomic.Int32 // requests whose handlers have not replied
}

func newInbound(l *link, s network.Stream, from dht.Peer, r *reader, most int) *inbound {
	in := &inbound{
		l: l, stream: s, from: from, reader: r,
		queue: newQueue(l.h.cfg.SendBuffer),
		done:  make(chan struct{}),
	}
	in.writer = l.h.newWriter(s, in.queue, most)
	in.writer.many = func() bool { return in.handling.Load()+in.queue.length.Load() > 1 }
	in.writer.refuse = func(p packet, err error) {
		l.h.log.Error("reply cannot be sent", "peer", l.pid, "err", err)
		in.refuse(p.head.ID, fmt.Errorf("%w: the reply cannot be sent", dht.ErrGaveUp))
	}
	return in
}

// serve answers requests until the stream ends. before, if not nil, is the stream
// this one replaces: its last handler is waited for, so that requests of one sender
// are entered in order.
func (in *inbound) serve(before *inbound) {
	if before != nil {
		before.stream.Reset() //nolint:errcheck // it is closed in any case
		<-before.done
	}
	wrote := make(chan struct{})
	started := in.l.h.streams.start(func() {
		defer close(wrote)
		if err := in.writer.run(); err != nil {
			in.queue.close()
			in.stream.Reset() //nolint:errcheck // it is closed in any case
			return
		}
		in.stream.Close() //nolint:errcheck // the reader sees what comes of it
	})
	if !started {
		close(wrote)
		in.stream.Reset() //nolint:errcheck // it is closed in any case
	}
	cause := in.read()
	close(in.done)
	in.l.leave(in)
	in.l.h.streamEnded(in.l, cause)
	in.queue.close()
	in.stream.SetWriteDeadline(time.Now().Add(in.l.h.cfg.Stall)) //nolint:errcheck // a broken stream ends by itself
	if cause != nil {
		in.stream.Reset() //nolint:errcheck // it is closed in any case
	}
	<-wrote
}

// read enters the handlers in the order of arrival. It returns nil at the regular end
// of the stream.
func (in *inbound) read() error {
	assembler := in.l.h.codec.Assembler(wire.MaxData(in.l.h.cfg.MaxValue))
	for {
		frame, err := in.reader.next()
		if err != nil {
			return regular(err)
		}
		message, whole, err := assembler.Add(frame)
		if err != nil {
			return err
		}
		if !whole {
			continue
		}
		if err := in.accept(message); err != nil {
			return err
		}
		// A peer that asks but does not read its answers is not read either.
		if !in.queue.drained(2 * in.l.h.cfg.InFlight) {
			return nil
		}
	}
}

// accept enters the handler of one request, or refuses it.
func (in *inbound) accept(f wire.Frame) error {
	if f.Type != wire.Request {
		return fmt.Errorf("p2p: a frame of type %d in place of a request: %w", f.Type, dht.ErrMalformed)
	}
	h := in.l.h
	service := h.services[f.Code]
	if service == nil {
		in.refuse(f.ID, fmt.Errorf("message %d: %w", f.Code, dht.ErrUnknownMessage))
		return nil
	}
	msg, err := h.codec.DecodePayload(f.Code, f.Data, h.hear)
	if err != nil {
		h.log.Debug("request refused", "peer", in.l.pid, "err", err)
		in.refuse(f.ID, err)
		return nil
	}
	weight := h.codec.Weight(msg)
	if !in.owe(weight) {
		in.refuse(f.ID, dht.ErrBusy)
		return nil
	}
	h.enter()
	defer h.leave()
	if h.ctx.Err() != nil {
		in.settle(weight)
		in.refuse(f.ID, dht.ErrClosed)
		return nil
	}
	service.Handle(in.from, msg, &reply{in: in, id: f.ID, weight: weight})
	return nil
}

// refuse answers with an error.
func (in *inbound) refuse(id uint32, err error) {
	p := packet{head: wire.Header{Type: wire.Failure, ID: id}, err: err, weight: wire.MaxErrorText}
	in.queue.push(p) //nolint:errcheck // a closed queue needs no answers
}

// reply is dht.Reply to one request.
type reply struct {
	in     *inbound
	id     uint32
	weight int  // of the request
	sent   bool // guarded by the monitor
}

// Send implements dht.Reply.
func (r *reply) Send(m dht.Message, err error) {
	if r.sent {
		panic(fmt.Sprintf("p2p: two replies to one request of %s", r.in.from))
	}
	r.sent = true
	defer r.in.settle(r.weight) // after push: the writer counts both
	if err != nil {
		r.in.refuse(r.id, err)
		return
	}
	if _, known := r.in.l.h.codec.Kind(m.Code()); !known {
		r.in.refuse(r.id, fmt.Errorf("%w: reply %d is of no kind", dht.ErrGaveUp, m.Code()))
		return
	}
	// The request may have been carried out: whatever happens to the reply, ErrBusy,
	// which says that it was not, would be a lie.
	head := wire.Header{Type: wire.Reply, ID: r.id, Code: m.Code()}
	p := packet{head: head, msg: m, weight: r.in.l.h.codec.Weight(m)}
	if r.in.queue.pushReply(p) != nil {
		r.in.refuse(r.id, fmt.Errorf("%w: too much waits to be sent to you", dht.ErrGaveUp))
	}
}

// settle takes a reply that was given off the account.
func (in *inbound) settle(weight int) {
	in.handling.Add(-1)
	in.l.owed.Add(-1)
	in.l.owedBytes.Add(int64(-weight))
}

// owe puts a request on the account of what this node owes the peer, over all its
// streams, or says that there is too much on it.
func (in *inbound) owe(weight int) bool {
	l := in.l
	owed := int(l.owed.Load())
	if owed >= l.h.cfg.InFlight || owed > 0 && int(l.owedBytes.Load())+weight > l.h.cfg.SendBuffer {
		return false
	}
	in.handling.Add(1)
	l.owed.Add(1)
	l.owedBytes.Add(int64(weight))
	return true
}
