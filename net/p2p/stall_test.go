package p2p

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	mss "github.com/multiformats/go-multistream"

	"dyschord/dht"
	"dyschord/internal/rto"
	"dyschord/net/wire"
)

// deaf connects to h as a node that asks but never reads, and returns how to send it.
func deaf(t *testing.T, h *node) (write func([]byte) error, peerID string) {
	n, addr, err := benchNet()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.close)
	where, err := ma.NewMultiaddr(strings.Split(h.Addrs()[0], "/p2p/")[0])
	if err != nil {
		t.Fatal(err)
	}
	n.peers.AddAddrs(h.pid, []ma.Multiaddr{where}, peerstore.PermanentAddrTTL)
	s, err := n.swarm.NewStream(context.Background(), h.pid)
	if err != nil {
		t.Fatal(err)
	}
	negotiated := mss.NewMSSelect(s, protocol.ID(wire.Protocol))
	hello, err := wire.AppendHello(nil, wire.Hello{Version: 1, Inc: 1, MaxData: 1 << 21})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := negotiated.Write(hello); err != nil {
		t.Fatal(err)
	}
	if _, err := readHello(newReader(negotiated, &h.counters)); err != nil {
		t.Fatal(err)
	}
	return func(b []byte) error { _, err := s.Write(b); return err }, strings.Split(addr, "/p2p/")[1]
}

// waiting is how many bytes the queue holds.
func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.weight
}

// askedBy returns the stream on which that peer asks h.
func (h *Host) askedBy(peerID string) (*link, *inbound) {
	for _, l := range h.links() {
		if l.pid.String() == peerID {
			l.mu.Lock()
			defer l.mu.Unlock()
			return l, l.in
		}
	}
	return nil, nil
}

// wireRequest writes a request as a frame.
func wireRequest(t testing.TB, h *node, id uint32, m dht.Message) []byte {
	b, err := h.codec.AppendPayload(wire.BeginFrame(nil), m, nil)
	if err != nil {
		t.Fatal(err)
	}
	wire.EndFrame(b, 0, wire.Header{Type: wire.Request, ID: id, Code: m.Code()})
	return b
}

func TestAPeerThatDoesNotReadItsAnswersIsNotReadEither(t *testing.T) {
	a, b := newNode(t, Config{}), newNode(t, Config{InFlight: 10, SendBuffer: 4 << 20})
	write, id := deaf(t, b)
	var sent atomic.Int32
	stopped := make(chan error, 1)
	go func() {
		for i := uint32(1); ; i++ {
			if err := write(wireRequest(t, b, i, &value{Want: 1 << 20})); err != nil {
				stopped <- err
				return
			}
			sent.Add(1)
		}
	}()
	// Its window takes some MiB; then its queue fills up and reading stops. Thousands
	// of requests fit between it and us.
	var l *link
	var in *inbound
	b.until("the answers pile up", func() bool {
		l, in = b.askedBy(id)
		return in != nil && in.queue.waiting() > 4<<20 && sent.Load() > 3000
	})
	for range 50 {
		if res := a.call(a.knows(b), &echo{}); res.Err != nil {
			t.Fatalf("another peer's call: %v", res.Err)
		}
	}
	if n, bytes := in.queue.length.Load(), in.queue.waiting(); n > 6 || bytes > 4<<20+2<<20 {
		t.Errorf("%d answers, %d bytes, wait for a peer that does not read", n, bytes)
	}
	l.tidy(time.Now().Add(time.Hour)) // stuck for long: the stream goes
	if err := <-stopped; err == nil {
		t.Error("the stream of a stuck peer is kept")
	}
}

func TestAPeerThatDoesNotReadDelaysNobodyElse(t *testing.T) {
	a, b := newNode(t, Config{SendBuffer: 3 << 20}), newNode(t, Config{})
	stalled := newNode(t, Config{})
	slow, quick := a.knows(stalled), a.knows(b)
	if res := a.call(slow, &echo{}); res.Err != nil {
		t.Fatal(res.Err)
	}
	release := make(chan struct{})
	entered := make(chan struct{})
	go stalled.Do(context.Background(), func(context.Context) { // its reader waits for the monitor
		close(entered)
		<-release
	})
	<-entered
	defer close(release)
	a.do(func(ctx context.Context) {
		calls := a.Env().Calls()
		defer calls.Close()
		busy := false
		for range 100 {
			calls.Start(slow, &value{Data: make([]byte, 1<<20)})
			res := callOnce(ctx, a, quick)
			if res.Err != nil {
				t.Errorf("another peer's call: %v", res.Err)
			}
		}
		for range 100 {
			ctx, cancel := a.Env().WithTimeout(ctx, time.Second)
			res, err := calls.Next(ctx)
			cancel()
			if err != nil {
				break
			}
			busy = busy || errors.Is(res.Err, dht.ErrBusy)
		}
		if !busy {
			t.Error("100 MiB were taken for a peer that does not read")
		}
	})
}

func TestSilenceEndsInATimeout(t *testing.T) {
	cfg := Config{Timeouts: rto.Config{Initial: 20 * time.Millisecond, Margin: 10 * time.Millisecond}}
	a, b := newNode(t, cfg), newNode(t, Config{})
	peer := a.knows(b)
	if res := a.call(peer, &echo{}); res.Err != nil {
		t.Fatal(res.Err)
	}
	entered, release := make(chan struct{}), make(chan struct{})
	go b.Do(context.Background(), func(context.Context) {
		close(entered)
		<-release
	})
	<-entered
	res := a.call(peer, &echo{})
	mustBe(t, res.Err, dht.ErrTimeout)
	if !res.From.IsZero() || res.RTT < 10*time.Millisecond {
		t.Errorf("%+v", res)
	}
	before := a.link(peer.Ref).times.of(dht.Never)
	close(release)
	a.until("the late answer has taught", func() bool { return a.link(peer.Ref).times.of(dht.Never) != before })
	if a.Stats().Timeouts == 0 {
		t.Error("no time-out was counted")
	}
}

func TestALostConnectionEndsItsCalls(t *testing.T) {
	a, b := newNode(t, Config{}), newNode(t, Config{})
	peer := a.knows(b)
	a.do(func(ctx context.Context) {
		calls := a.Env().Calls()
		defer calls.Close()
		calls.Start(peer, &patient{})
		a.Env().Go("cut", func(ctx context.Context) {
			for a.link(peer.Ref).streams() == 0 {
				a.Env().Sleep(ctx, time.Millisecond)
			}
			b.do(func(ctx context.Context) {
				for len(b.lab.kept) == 0 {
					b.Env().Sleep(ctx, time.Millisecond)
				}
			})
			a.net.swarm.ClosePeer(b.pid)
		})
		res, err := calls.Next(ctx)
		if err != nil || !errors.Is(res.Err, dht.ErrTimeout) || !strings.Contains(res.Err.Error(), "connection was lost") {
			t.Errorf("%v, %+v", err, res)
		}
	})
	if res := a.call(peer, &echo{}); res.Err != nil {
		t.Errorf("the next call: %v", res.Err)
	}
}

func TestASilentPeerIsGivenUp(t *testing.T) {
	a, b := newNode(t, Config{Stall: 100 * time.Millisecond}), newNode(t, Config{})
	peer := a.knows(b)
	b.do(func(context.Context) {})
	if res := a.call(peer, &echo{}); res.Err != nil {
		t.Fatal(res.Err)
	}
	// A peer that is only slow with this answer is probed and kept.
	a.do(func(ctx context.Context) {
		calls := a.Env().Calls()
		defer calls.Close()
		calls.Start(peer, &patient{})
		ctx, cancel := a.Env().WithTimeout(ctx, time.Second)
		defer cancel()
		if res, err := calls.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a request of a living peer ended: %v, %v", err, res.Err)
		}
	})
	if s := a.Stats(); s.Stalled != 0 {
		t.Errorf("%d streams were given up", s.Stalled)
	}
	release := make(chan struct{})
	defer close(release)
	entered := make(chan struct{})
	go b.Do(context.Background(), func(context.Context) { close(entered); <-release })
	<-entered
	res := a.call(peer, &patient{})
	mustBe(t, res.Err, dht.ErrTimeout)
	if s := a.Stats(); s.Stalled != 1 {
		t.Errorf("%d streams were given up, want 1", s.Stalled)
	}
}

func TestAMalformedFrameClosesTheStream(t *testing.T) {
	for name, garbage := range map[string][]byte{
		"length 0":     {0, 0},
		"unknown type": {0, 5, 63, 0, 0, 0, 1},
		"a reply":      {0, 7, byte(wire.Reply), 0, 0, 0, 1, 0, 200},
	} {
		t.Run(name, func(t *testing.T) {
			b := newNode(t, Config{})
			write, _ := deaf(t, b)
			if err := write(garbage); err != nil {
				t.Fatal(err)
			}
			b.until("the stream is closed", func() bool { return b.Stats().Malformed == 1 && b.Stats().Streams == 0 })
		})
	}
}

func TestAMalformedBodyIsAnswered(t *testing.T) {
	b := newNode(t, Config{})
	write, id := deaf(t, b)
	request := wireRequest(t, b, 1, &echo{Num: 1})
	request[len(request)-1] = 0xff
	if err := write(append(request, wireRequest(t, b, 2, &echo{Num: 2})...)); err != nil {
		t.Fatal(err)
	}
	b.until("the request behind it is handled", func() bool { return len(b.lab.order) == 1 })
	b.do(func(context.Context) {
		if b.lab.order[0].(*echo).Num != 2 || b.Host.PeerIDOf(b.lab.from[0]) != id {
			t.Errorf("%+v from %v", b.lab.order[0], b.lab.from[0])
		}
	})
	if b.Stats().Malformed != 0 {
		t.Error("the stream was closed")
	}
}
