package p2p

import (
	"sync"
	"sync/atomic"

	"dyschord/dht"
	"dyschord/net/wire"
)

// packet is one message on its way into a stream. The writer encodes it.
type packet struct {
	head   wire.Header
	msg    dht.Message // nil for a failure and for a probe
	err    error       // of a failure
	weight int         // bytes it is counted for while it waits
	call   *call       // whose request this is; nil for an answer
}

// queue is what waits to be written to one stream: packets go in under a short
// lock, and the writer takes all of them at once.
type queue struct {
	limit int // bytes

	mu      sync.Mutex
	room    sync.Cond // for drained; its lock is mu
	packets []packet
	spare   []packet // the slice the writer had before
	weight  int      // of the packets waiting and in the writer's hands
	asleep  bool     // the writer waits for wake
	closed  bool
	wake    chan struct{}
	length  atomic.Int32 // packets waiting and in the writer's hands
}

func newQueue(limit int) *queue {
	q := &queue{limit: limit, wake: make(chan struct{}, 1)}
	q.room.L = &q.mu
	return q
}

// push queues p, or refuses it with dht.ErrBusy when there is no room. Whatever its
// weight, p is taken if nothing waits; a failure is always taken.
func (q *queue) push(p packet) error { return q.pushTo(q.limit, p) }

// pushReply is push with room for twice as much: requests are not accepted while the
// queue is over its limit (drained), but replies to earlier ones still come.
func (q *queue) pushReply(p packet) error { return q.pushTo(2*q.limit, p) }

func (q *queue) pushTo(limit int, p packet) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return errUnsent
	}
	if q.weight > 0 && q.weight+p.weight > limit && p.msg != nil {
		return dht.ErrBusy
	}
	q.weight += p.weight
	q.length.Add(1)
	q.packets = append(q.packets, p)
	if q.asleep {
		q.asleep = false
		q.wake <- struct{}{} // has room: only a sleeping writer is woken, and once
	}
	return nil
}

// take hands all that waits to the writer. The slice is good until the next call.
func (q *queue) take() []packet {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch := q.packets
	q.packets, q.spare = q.spare[:0], batch
	return batch
}

// done says that n packets of that weight were written or given up.
func (q *queue) done(n, weight int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.weight -= weight
	q.length.Add(int32(-n))
	q.room.Broadcast()
}

// sleep waits until there are packets; false means that the queue was closed and
// is empty.
func (q *queue) sleep() bool {
	q.mu.Lock()
	if len(q.packets) > 0 {
		q.mu.Unlock()
		return true
	}
	if q.closed {
		q.mu.Unlock()
		return false
	}
	q.asleep = true
	q.mu.Unlock()
	<-q.wake
	return true
}

// drained waits until fewer than n packets wait, and less than the limit in bytes;
// false means that the queue was closed.
func (q *queue) drained(n int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for (int(q.length.Load()) >= n || q.weight > q.limit) && !q.closed {
		q.room.Wait()
	}
	return !q.closed
}

// close makes push refuse, and the writer end once it has written what waits.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.room.Broadcast()
	if q.asleep {
		q.asleep = false
		q.wake <- struct{}{}
	}
}
