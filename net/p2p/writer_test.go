package p2p

import (
	"bytes"
	"errors"
	"testing"

	"dyschord/dht"
	"dyschord/net/wire"
)

// tape is a stream that records each Write, and lets a test act in the middle of it.
type tape struct {
	writes [][]byte
	during func(n int) error
}

func (p *tape) Write(b []byte) (int, error) {
	p.writes = append(p.writes, bytes.Clone(b))
	if p.during != nil {
		if err := p.during(len(p.writes)); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// messages puts together what was written, and notes in which Write each ended.
func (p *tape) messages(t *testing.T, c *wire.Codec) (headers []wire.Header, in []int) {
	assembler := c.Assembler(1 << 24)
	for i, b := range p.writes {
		if len(b) > wire.MaxFrame {
			t.Errorf("a Write of %d bytes", len(b))
		}
		r := newReader(bytes.NewReader(b), new(counters))
		for {
			f, err := r.next()
			if err != nil {
				break
			}
			m, whole, err := assembler.Add(f)
			if err != nil {
				t.Fatal(err)
			}
			if whole {
				headers, in = append(headers, m.Header), append(in, i)
			}
		}
	}
	return headers, in
}

func newTestWriter(to *tape) *writer {
	c := wire.NewCodec((*lab)(nil).Kinds())
	return &writer{
		to: to, queue: newQueue(64 << 20), codec: c, most: 1 << 21, counters: new(counters),
		record: func(uint32) []byte { return nil },
		many:   func() bool { return false },
		refuse: func(packet, error) {},
	}
}

func request(c *wire.Codec, id uint32, m dht.Message) packet {
	return packet{head: wire.Header{Type: wire.Request, ID: id, Code: m.Code()}, msg: m, weight: c.Weight(m)}
}

func TestASmallMessageWaitsForOneFrameOfALongOne(t *testing.T) {
	out := &tape{}
	w := newTestWriter(out)
	push := func(id uint32, m dht.Message) {
		if err := w.queue.push(request(w.codec, id, m)); err != nil {
			t.Fatal(err)
		}
	}
	for id := range uint32(4) {
		push(id, &value{Data: make([]byte, 1<<20)})
	}
	push(4, &value{Data: []byte("small, but it carries a value")})
	out.during = func(n int) error {
		switch n {
		case 20: // in the middle of the second
			push(5, &echo{})
		case 40:
			push(6, &value{})
			w.queue.close()
		}
		return nil
	}
	if err := w.run(); err != nil {
		t.Fatal(err)
	}
	headers, in := out.messages(t, w.codec)
	order := map[uint32]int{}
	for i, h := range headers {
		order[h.ID] = i
		if h.ID == 5 && in[i] != 20 { // counted from 0: the Write after the 20th
			t.Errorf("the small message went out with Write %d", in[i]+1)
		}
	}
	if len(headers) != 7 || order[0] > order[1] || order[1] > order[2] || order[3] > order[4] || order[4] > order[6] {
		t.Errorf("messages left as %v", headers)
	}
	if w.queue.weight != 0 || w.queue.length.Load() != 0 {
		t.Errorf("%d packets of %d bytes are still counted", w.queue.length.Load(), w.queue.weight)
	}
}

func TestManySmallMessagesFillTheirWrites(t *testing.T) {
	out := &tape{}
	w := newTestWriter(out)
	const count = 2000
	for id := range uint32(count) {
		if err := w.queue.push(request(w.codec, id, &echo{Data: make([]byte, 100)})); err != nil {
			t.Fatal(err)
		}
	}
	w.queue.close()
	if err := w.run(); err != nil {
		t.Fatal(err)
	}
	headers, _ := out.messages(t, w.codec)
	if len(headers) != count || len(out.writes) > 5 {
		t.Errorf("%d messages in %d writes", len(headers), len(out.writes))
	}
	for i, h := range headers {
		if h.ID != uint32(i) {
			t.Fatalf("message %d is the %d-th", h.ID, i)
		}
	}
}

func TestAMessageThatCannotBeEncodedStopsNoOther(t *testing.T) {
	out := &tape{}
	w := newTestWriter(out)
	var refused []uint32
	w.refuse = func(p packet, err error) { refused = append(refused, p.head.ID) }
	w.most = 100_000
	for id, m := range []dht.Message{
		&echo{Peer: dht.Peer{Ref: 9}}, &echo{}, &value{Data: make([]byte, 200_000)}, &value{}, &echo{Data: make([]byte, wire.MaxRouting)},
	} {
		if err := w.queue.push(request(w.codec, uint32(id), m)); err != nil {
			t.Fatal(err)
		}
	}
	w.queue.close()
	if err := w.run(); err != nil {
		t.Fatal(err)
	}
	headers, _ := out.messages(t, w.codec)
	if len(headers) != 2 || headers[0].ID != 1 || headers[1].ID != 3 || len(refused) != 3 {
		t.Errorf("sent %v, refused %v", headers, refused)
	}
	if w.queue.weight != 0 || w.queue.length.Load() != 0 {
		t.Errorf("%d packets of %d bytes are still counted", w.queue.length.Load(), w.queue.weight)
	}
}

func TestAFullQueueRefuses(t *testing.T) {
	q := newQueue(1000)
	big := packet{msg: &echo{}, weight: 5000}
	if err := q.push(big); err != nil {
		t.Errorf("the only message: %v", err)
	}
	mustBe(t, q.push(packet{msg: &echo{}, weight: 1}), dht.ErrBusy)
	if err := q.push(packet{err: dht.ErrBusy, weight: 256}); err != nil {
		t.Errorf("a failure: %v", err)
	}
	q.take()
	mustBe(t, q.push(packet{msg: &echo{}, weight: 1}), dht.ErrBusy) // not written yet
	q.done(2, 5256)
	if err := q.push(packet{msg: &echo{}, weight: 1}); err != nil {
		t.Errorf("when all is written: %v", err)
	}
	q.close()
	mustBe(t, q.push(packet{msg: &echo{}}), dht.ErrUnreachable)
}

func TestAFailedWriteEndsTheWriter(t *testing.T) {
	broken := errors.New("broken")
	w := newTestWriter(&tape{during: func(int) error { return broken }})
	if err := w.queue.push(request(w.codec, 1, &echo{})); err != nil {
		t.Fatal(err)
	}
	mustBe(t, w.run(), broken)
}
