package p2p

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"dyschord/dht"
	"dyschord/net/wire"
)

// script is a stream whose other side says what is in it, and listens to nothing.
type script struct {
	network.Stream // nil: what is not below is not used
	*bytes.Reader

	mu     sync.Mutex
	closed bool
}

func (s *script) Read(b []byte) (int, error)       { return s.Reader.Read(b) }
func (s *script) Write(b []byte) (int, error)      { return len(b), nil }
func (s *script) Close() error                     { return s.Reset() }
func (s *script) CloseWrite() error                { return nil }
func (s *script) Conn() network.Conn               { return noConn{} }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }
func (s *script) Reset() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

func (s *script) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

type noConn struct{ network.Conn }

func (noConn) Close() error { return nil }

// fuzzHost is a host without a network under it.
func fuzzHost(f *testing.F) (*Host, *link) {
	key, err := NewKey()
	if err != nil {
		f.Fatal(err)
	}
	h, err := New(Config{Key: key, Inc: 1, InFlight: 4})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { h.Close() })
	h.Do(context.Background(), func(context.Context) {
		h.Serve(&lab{env: h.Env(), came: h.Env().Signal()})
	})
	p, err := h.book.note(peer.ID("somebody"), nil, nil, false)
	if err != nil {
		f.Fatal(err)
	}
	return h, h.link(p.Ref)
}

func frame(t testing.TB, h *Host, typ wire.Type, id uint32, m dht.Message) []byte {
	b, err := h.codec.AppendPayload(wire.BeginFrame(nil), m, h.book.record)
	if err != nil {
		t.Fatal(err)
	}
	wire.EndFrame(b, 0, wire.Header{Type: typ, ID: id, Code: m.Code()})
	return b
}

// FuzzInbound lets a peer send anything on the stream on which it asks.
func FuzzInbound(f *testing.F) {
	h, l := fuzzHost(f)
	asked := frame(f, h, wire.Request, 1, &echo{Num: 1, Peer: dht.Peer{Ref: l.ref, Inc: 5}})
	f.Add(asked)
	f.Add(append(asked, frame(f, h, wire.Request, 2, &patient{})...))
	f.Add([]byte{0, 7, 1, 0, 0, 0, 1, 0, 0})
	long, _ := wire.NewFragments(wire.Header{Type: wire.Request, ID: 3, Code: 300}, make([]byte, 3000)).Append(nil, 2000)
	f.Add(long)
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &script{Reader: bytes.NewReader(b)}
		in := newInbound(l, s, dht.Peer{Ref: l.ref, Inc: 1}, newReader(s, &h.counters), 1<<20)
		in.serve(nil)
		if err := in.queue.push(packet{msg: &echo{}}); err == nil {
			t.Error("the stream has ended, but its queue is open")
		}
		if !s.isClosed() {
			t.Error("the stream was left open")
		}
	})
}

// FuzzOutbound lets a peer answer anything on the stream on which it is asked.
func FuzzOutbound(f *testing.F) {
	h, l := fuzzHost(f)
	f.Add(frame(f, h, wire.Reply, 1, &echo{Num: 1, Peer: dht.Peer{Ref: l.ref, Inc: 5}}))
	f.Add(wire.AppendFailure(nil, 2, dht.ErrBusy))
	f.Add(append(wire.AppendFailure(nil, 9, dht.ErrBusy), 0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &script{Reader: bytes.NewReader(b)}
		o := newOutbound(l, s, dht.Peer{Ref: l.ref, Inc: 1}, newReader(s, &h.counters), 1<<20)
		set := h.newCalls()
		l.mu.Lock()
		for range 3 {
			x := &call{to: o.peer, req: &echo{}, set: set, kind: dht.Kind{Code: 200}, began: time.Now()}
			if err := o.send(x, x.began); err != nil {
				t.Error(err)
			}
		}
		l.mu.Unlock()
		o.end(o.read())
		for _, r := range set.ended {
			if r.Err == nil && r.Msg == nil || r.Err != nil && codeOf(r.Err) == 0 {
				t.Errorf("a call ended as %+v", r)
			}
		}
		if len(set.ended) != 3 {
			t.Errorf("%d of 3 calls ended", len(set.ended))
		}
	})
}

// FuzzHello lets a peer say anything first.
func FuzzHello(f *testing.F) {
	h, _ := fuzzHost(f)
	hello, err := wire.AppendHello(nil, wire.Hello{Version: 1, Inc: 1, Addrs: [][]byte{{4, 127, 0, 0, 1, 6, 15, 161}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(hello)
	f.Fuzz(func(t *testing.T, b []byte) {
		theirs, err := readHello(newReader(bytes.NewReader(b), &h.counters))
		if err != nil {
			if !errors.Is(err, dht.ErrMalformed) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("error without code: %v", err)
			}
			return
		}
		pid := peer.ID("another")
		if h.objection(theirs, pid) == "" {
			if p, err := h.admit(theirs, pid); err == nil && (p.IsZero() || p.Inc == 0) {
				t.Errorf("admitted as %+v", p)
			}
		}
	})
}
