package p2p

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"dyschord/dht"
	"dyschord/net/wire"
)

// longWeight is the weight from which a message that carries values is taken for a
// long one: it is encoded when its turn among those has come, and not into the
// buffer of the small ones.
const longWeight = 48 << 10

// writer empties a queue into a stream, as few large Writes as can be. It runs in a
// goroutine of its own and encodes outside the monitor.
//
// A connection turns each Write into a record and a system call and takes it at
// once, so that a writer that never waits never gathers. Therefore it lets the
// others run once before it takes the queue, but only while several requests are
// under way: a lone request is not delayed.
type writer struct {
	to     io.Writer
	queue  *queue
	codec  *wire.Codec
	record func(uint32) []byte
	most   int                     // bytes of the longest payload that the peer accepts
	many   func() bool             // several requests are under way
	refuse func(p packet, e error) // p could not be encoded
	wrote  func(p packet)          // a long request is written; nil if nobody asks
	*counters

	buf         []byte
	long        []packet // in order; the first may be under way in frags
	frags       *wire.Fragments
	done        []packet // long ones that the next Write completes
	ended       int      // packets of this round that are written with it
	endedWeight int
	moved       atomic.Int64 // unix nanoseconds of the latest Write with a fragment
	writing     atomic.Int64 // unix nanoseconds since which a Write has been under way; 0: none
}

// run returns when the queue is closed and all is written, or with the error of a
// Write.
func (w *writer) run() error {
	for {
		if w.many() {
			runtime.Gosched()
		}
		batch := w.queue.take()
		if len(batch) == 0 && len(w.long) == 0 {
			if !w.queue.sleep() {
				return nil
			}
			continue
		}
		if err := w.round(batch); err != nil {
			return err
		}
		clear(batch)
	}
}

// round writes a batch of messages, and behind them one frame's worth of the long
// ones. What carries values keeps its order: behind a long message, all of it waits.
func (w *writer) round(batch []packet) error {
	for i := range batch {
		p := &batch[i]
		if w.isLong(p) {
			w.long = append(w.long, *p)
			continue
		}
		if err := w.add(p); err != nil {
			return err
		}
	}
	long := len(w.long) > 0
	if err := w.addLong(); err != nil {
		return err
	}
	err := w.flush(len(w.buf))
	if long {
		w.noteLong()
	}
	w.queue.done(w.ended, w.endedWeight)
	w.ended, w.endedWeight = 0, 0
	return err
}

func (w *writer) isLong(p *packet) bool {
	if p.msg == nil || p.weight < longWeight && len(w.long) == 0 {
		return false
	}
	k, _ := w.codec.Kind(p.head.Code)
	return k.Data
}

// add encodes a message into the buffer, and writes the buffer when it is full. A
// message that turns out not to fit a frame becomes a long one.
func (w *writer) add(p *packet) error {
	start := len(w.buf)
	switch {
	case p.msg == nil && p.err == nil:
		w.buf = wire.BeginFrame(w.buf)
		wire.EndFrame(w.buf, start, p.head) // always fits
	case p.msg == nil:
		w.buf = wire.AppendFailure(w.buf, p.head.ID, p.err)
	default:
		buf, err := w.encode(wire.BeginFrame(w.buf), p)
		if err != nil {
			w.buf = buf[:start]
			w.over(p)
			w.refuse(*p, err)
			return nil
		}
		if !wire.EndFrame(buf, start, p.head) {
			w.buf = buf[:start]
			w.long = append(w.long, *p)
			return nil
		}
		w.buf = buf
	}
	w.over(p)
	w.counters.FramesSent.Add(1)
	if len(w.buf) > wire.MaxFrame {
		return w.flush(start)
	}
	return nil
}

// over notes that p needs no more room in the queue after this round.
func (w *writer) over(p *packet) {
	w.ended++
	w.endedWeight += p.weight
}

// addLong fills the buffer up to one frame with the long messages: the next fragment
// of the first, or as many whole ones as there is room for.
func (w *writer) addLong() error {
	for len(w.long) > 0 {
		room := wire.MaxFrame - len(w.buf)
		if room < wire.MaxFrame/2 {
			return w.flush(len(w.buf))
		}
		if w.frags == nil {
			p := &w.long[0]
			payload, err := w.encode(make([]byte, 0, p.weight+p.weight/8), p)
			if err != nil {
				w.refuse(*p, err)
				w.nextLong()
				continue
			}
			w.frags = wire.NewFragments(p.head, payload)
		}
		var last bool
		w.buf, last = w.frags.Append(w.buf, room)
		w.counters.FramesSent.Add(1)
		if !last {
			return nil
		}
		w.nextLong()
	}
	return nil
}

func (w *writer) nextLong() {
	w.over(&w.long[0])
	if w.wrote != nil {
		w.done = append(w.done, w.long[0])
	}
	w.long = slices.Delete(w.long, 0, 1)
	w.frags = nil
}

// noteLong tells what long messages the last Write has completed.
func (w *writer) noteLong() {
	w.moved.Store(time.Now().UnixNano())
	for _, p := range w.done {
		w.wrote(p)
	}
	clear(w.done)
	w.done = w.done[:0]
}

// encode writes p's payload behind dst.
func (w *writer) encode(dst []byte, p *packet) ([]byte, error) {
	if p.call != nil {
		p.call.taken.Store(true)
	}
	before := len(dst)
	out, err := w.codec.AppendPayload(dst, p.msg, w.record)
	if err != nil {
		return dst, fmt.Errorf("p2p: %w", err)
	}
	if size, limit := len(out)-before, w.codec.Limit(p.head.Code, w.most); size > limit {
		return dst, fmt.Errorf("p2p: message %d has %d bytes, the peer accepts %d: %w", p.head.Code, size, limit, dht.ErrRejected)
	}
	return out, nil
}

// flush writes the first n bytes of the buffer.
func (w *writer) flush(n int) error {
	if n == 0 {
		return nil
	}
	w.writing.Store(time.Now().UnixNano())
	_, err := w.to.Write(w.buf[:n])
	w.writing.Store(0)
	w.counters.Writes.Add(1)
	w.counters.BytesSent.Add(uint64(n))
	w.buf = append(w.buf[:0], w.buf[n:]...)
	return err
}
