package p2p

import (
	"bytes"
	"context"
	"errors"
	"net"
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

func TestWritesAreGathered(t *testing.T) {
	a, b := newNode(t, Config{}), newNode(t, Config{})
	peer := a.knows(b)
	if res := a.call(peer, &echo{}); res.Err != nil {
		t.Fatal(res.Err)
	}
	const callers, each = 64, 100
	before := a.Stats().Writes
	beforeB := b.Stats().Writes
	a.do(func(ctx context.Context) {
		env, busy := a.Env(), callers
		done := env.Signal()
		for range callers {
			env.Go("caller", func(ctx context.Context) {
				for range each {
					if _, err := dht.Call(ctx, env, peer, &echo{Data: make([]byte, 100)}); err != nil {
						t.Error(err)
					}
				}
				busy--
				done.Notify()
			})
		}
		for busy > 0 && done.Wait(ctx) == nil {
			continue
		}
	})
	for name, writes := range map[string]uint64{"requests": a.Stats().Writes - before, "replies": b.Stats().Writes - beforeB} {
		perCall := float64(writes) / (callers * each)
		t.Logf("%s: %.3f writes per call", name, perCall)
		if perCall > 0.5 {
			t.Errorf("%s: %.2f writes per call, at most 0.5 are allowed", name, perCall)
		}
	}
}

func TestValuesOfAnyAllowedLength(t *testing.T) {
	a, b := newNode(t, Config{MaxValue: 1 << 20}), newNode(t, Config{MaxValue: 1 << 20})
	peer := a.knows(b)
	for _, size := range []int{0, 1, 40_000, 65_400, 65_600, 200_000, 1 << 20} {
		data := bytes.Repeat([]byte{7}, size)
		res := a.call(peer, &value{Data: data, Want: size})
		if res.Err != nil || len(res.Msg.(*value).Data) != size {
			t.Fatalf("size %d: %v", size, res.Err)
		}
		b.do(func(context.Context) {
			if got := b.lab.order[len(b.lab.order)-1].(*value).Data; !bytes.Equal(got, data) {
				t.Errorf("size %d: %d bytes arrived, or others", size, len(got))
			}
		})
	}
}

func TestWhatThePeerDoesNotAcceptIsNotSent(t *testing.T) {
	a, b := newNode(t, Config{MaxValue: 1 << 20}), newNode(t, Config{MaxValue: 100_000})
	res := a.call(a.knows(b), &value{Data: make([]byte, 200_000)})
	mustBe(t, res.Err, dht.ErrRejected)
	mustBe(t, a.call(a.knows(b), &value{Data: make([]byte, 200_000)}).Err, dht.ErrRejected)
	res = b.call(b.knows(a), &value{Want: 200_000})
	mustBe(t, res.Err, dht.ErrInternal)
	if res := a.call(a.knows(b), &echo{}); res.Err != nil {
		t.Errorf("the connection after it: %v", res.Err)
	}
	if s := b.Stats(); s.Malformed != 0 {
		t.Errorf("%d streams were closed", s.Malformed)
	}
}

func TestValuesKeepTheirOrder(t *testing.T) {
	a, b := newNode(t, Config{SendBuffer: 64 << 20}), newNode(t, Config{})
	peer := a.knows(b)
	a.do(func(ctx context.Context) {
		calls := a.Env().Calls()
		defer calls.Close()
		for i := range 9 {
			calls.Start(peer, &value{Data: make([]byte, (i%3)*(i%3)*200_000+i)})
		}
		for calls.Pending() > 0 {
			if res, err := calls.Next(ctx); err != nil || res.Err != nil {
				t.Errorf("%v, %v", err, res.Err)
				return
			}
		}
	})
	b.do(func(context.Context) {
		for i, m := range b.lab.order {
			if got := len(m.(*value).Data); got != (i%3)*(i%3)*200_000+i {
				t.Errorf("value %d has %d bytes", i, got)
			}
		}
	})
}

func TestAPeerOwesBoundedReplies(t *testing.T) {
	a, b := newNode(t, Config{}), newNode(t, Config{InFlight: 5})
	peer := a.knows(b)
	a.do(func(ctx context.Context) {
		calls := a.Env().Calls()
		defer calls.Close()
		for range 8 {
			calls.Start(peer, &patient{})
		}
		for range 3 {
			res, err := calls.Next(ctx)
			if err != nil || !errors.Is(res.Err, dht.ErrBusy) || !res.From.Same(peer) {
				t.Errorf("%v, %+v; want the peer's %v", err, res, dht.ErrBusy)
			}
		}
	})
	b.do(func(context.Context) {
		for _, r := range b.lab.kept {
			r.Send(&echo{}, nil)
		}
	})
	if res := a.call(peer, &echo{}); res.Err != nil {
		t.Errorf("when it has replied: %v", res.Err)
	}
}

func TestRequestsInFlightAreBounded(t *testing.T) {
	a, b := newNode(t, Config{InFlight: 5}), newNode(t, Config{})
	peer := a.knows(b)
	if res := a.call(peer, &echo{}); res.Err != nil {
		t.Fatal(res.Err)
	}
	a.do(func(ctx context.Context) {
		calls := a.Env().Calls()
		for range 6 {
			calls.Start(peer, &patient{})
		}
		res, err := calls.Next(ctx)
		if err != nil || !errors.Is(res.Err, dht.ErrBusy) || !res.From.IsZero() || calls.Pending() != 5 {
			t.Errorf("%v, %+v, %d pending; want our own %v", err, res, calls.Pending(), dht.ErrBusy)
		}
		calls.Close() // what nobody waits for does not count
		if res := callOnce(ctx, a, peer); res.Err != nil {
			t.Errorf("after Close: %v", res.Err)
		}
	})
}

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
		return in != nil && in.queue.length.Load() >= 2*10 && sent.Load() > 3000
	})
	for range 50 {
		if res := a.call(a.knows(b), &echo{}); res.Err != nil {
			t.Fatalf("another peer's call: %v", res.Err)
		}
	}
	if n := in.queue.length.Load(); n > 2*10+1 {
		t.Errorf("%d answers wait for a peer that does not read", n)
	}
	in.queue.mu.Lock()
	if in.queue.weight > 4<<20+2<<20 {
		t.Errorf("%d bytes wait for a peer that does not read", in.queue.weight)
	}
	in.queue.mu.Unlock()
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
	release := make(chan struct{})
	go b.Do(context.Background(), func(context.Context) { <-release })
	res := a.call(peer, &echo{})
	mustBe(t, res.Err, dht.ErrTimeout)
	if !res.From.IsZero() || res.RTT < 10*time.Millisecond {
		t.Errorf("%+v", res)
	}
	before := a.timeouts.of(peer.Ref, dht.Never)
	close(release)
	a.until("the late answer has taught", func() bool { return a.timeouts.of(peer.Ref, dht.Never) != before })
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

func TestADeadPeerIsNotDialledAgainAndAgain(t *testing.T) {
	a, b := newNode(t, Config{RedialMin: time.Hour, RedialMax: 2 * time.Hour}), newNode(t, Config{})
	p, err := a.Resolve(context.Background(), silent(t)+"/p2p/"+b.PeerID())
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		res := a.call(p, &echo{})
		mustBe(t, res.Err, dht.ErrUnreachable)
		if !strings.Contains(res.Err.Error(), "refused") {
			t.Fatalf("the cause is lost: %v", res.Err)
		}
	}
	if s := a.Stats(); s.Dials != 1 || s.DialFailures != 1 {
		t.Errorf("%d dials, %d failed, for 100 calls", s.Dials, s.DialFailures)
	}
	// Its call shows that it lives, and where.
	if res := b.call(b.knows(a), &echo{}); res.Err != nil {
		t.Fatal(res.Err)
	}
	if res := a.call(p, &echo{}); res.Err != nil {
		t.Errorf("after it has called: %v", res.Err)
	}
}

func TestPausesGrowAndAreJittered(t *testing.T) {
	h := &Host{cfg: Config{}.withDefaults()}
	for fails, most := range map[int]time.Duration{0: 200 * time.Millisecond, 1: 400 * time.Millisecond, 3: 1600 * time.Millisecond, 5: 4 * time.Second, 1000: 4 * time.Second} {
		seen := map[time.Duration]bool{}
		for range 100 {
			d := h.pause(fails)
			if d < most/2 || d > most {
				t.Fatalf("pause after %d failures: %v, want %v to %v", fails, d, most/2, most)
			}
			seen[d] = true
		}
		if len(seen) < 50 {
			t.Errorf("100 pauses after %d failures took %d values", fails, len(seen))
		}
	}
}

func TestCallsThatWaitForADialEndWithIt(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0") // the kernel connects, nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	a, b := newNode(t, Config{InFlight: 3, DialTimeout: 300 * time.Millisecond}), newNode(t, Config{})
	p, err := a.Resolve(context.Background(), tcpAddr(mute)+"/p2p/"+b.PeerID())
	if err != nil {
		t.Fatal(err)
	}
	a.do(func(ctx context.Context) {
		calls := a.Env().Calls()
		defer calls.Close()
		for range 5 {
			calls.Start(p, &echo{})
		}
		count := map[string]int{}
		for calls.Pending() > 0 {
			res, err := calls.Next(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			switch {
			case errors.Is(res.Err, dht.ErrBusy):
				count["busy"]++
			case errors.Is(res.Err, dht.ErrUnreachable):
				count["unreachable"]++
			}
		}
		if count["busy"] != 2 || count["unreachable"] != 3 {
			t.Errorf("%v", count)
		}
	})
}

func TestIdleStreamsAreClosedAndComeBack(t *testing.T) {
	a, b := newNode(t, Config{}), newNode(t, Config{})
	peer := a.knows(b)
	if res := a.call(peer, &echo{}); res.Err != nil {
		t.Fatal(res.Err)
	}
	l := a.link(peer.Ref)
	l.tidy(time.Now())
	if l.streams() != 1 {
		t.Error("a stream was closed that had just been used")
	}
	l.tidy(time.Now().Add(time.Hour))
	b.until("the other side has seen it end", func() bool { return b.Stats().Streams == 0 })
	for i := range 2 {
		l.tidy(time.Now().Add(time.Hour + time.Duration(i)*sweepEvery))
	}
	a.until("the connection is closed", func() bool { return len(a.net.swarm.Conns()) == 0 })
	if res := a.call(peer, &echo{}); res.Err != nil {
		t.Errorf("the next call: %v", res.Err)
	}
	if s := a.Stats(); s.Dials != 2 {
		t.Errorf("%d dials, want 2", s.Dials)
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

func TestCloseEndsCallsInFlight(t *testing.T) {
	a, b := newNode(t, Config{}), newNode(t, Config{})
	peer := a.knows(b)
	var ended error
	activity := make(chan struct{})
	go func() {
		defer close(activity)
		a.Do(context.Background(), func(ctx context.Context) {
			_, ended = dht.Call(ctx, a.Env(), peer, &patient{})
		})
	}()
	b.until("the request has arrived", func() bool { return len(b.lab.kept) == 1 })
	unanswered := make(chan dht.Result, 1)
	go func() { unanswered <- b.call(b.knows(a), &patient{}) }()
	a.until("and one the other way", func() bool { return len(a.lab.kept) == 1 })
	a.Close()
	<-activity
	mustBe(t, ended, dht.ErrClosed)
	mustBe(t, (<-unanswered).Err, dht.ErrTimeout)
	if err := a.Do(context.Background(), func(context.Context) { t.Error("ran") }); !errors.Is(err, dht.ErrClosed) {
		t.Errorf("Do after Close: %v", err)
	}
	b.do(func(context.Context) { b.lab.kept[0].Send(&echo{}, nil) }) // to nobody
}

func TestEventsTellEachRequest(t *testing.T) {
	events := make(chan dht.Event, 10)
	a, b := newNode(t, Config{OnEvent: func(e dht.Event) { events <- e }}), newNode(t, Config{})
	a.call(a.knows(b), &echo{})
	a.call(dht.Peer{}, &echo{})
	for _, code := range []uint16{0, dht.ErrUnreachable.Code} {
		e, ok := (<-events).(RPCDone)
		if !ok || e.Message != "echo" || e.Code != code || code == 0 && e.Took <= 0 {
			t.Errorf("%+v, want one for echo with code %d", e, code)
		}
	}
}

func TestAPeerHeardOfFromAnotherIsReached(t *testing.T) {
	a, b, c := newNode(t, Config{}), newNode(t, Config{}), newNode(t, Config{})
	res := b.call(b.knows(c), &echo{})
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	ours := a.call(a.knows(b), &echo{Peer: a.Env().Self()}).Msg.(*echo).Peer
	if ours != a.Env().Self() {
		t.Errorf("this node came back as %+v", ours)
	}
	b.do(func(context.Context) { b.lab.answer = res.From })
	heard := a.call(a.knows(b), &echo{}).Msg.(*echo).Peer
	if heard.ID != c.Env().Self().ID || heard.Inc != 1 {
		t.Fatalf("heard of %+v, want %+v", heard, c.Env().Self())
	}
	if res := a.call(heard, &echo{}); res.Err != nil || res.From != heard {
		t.Errorf("a peer heard of from another: %+v", res)
	}
}

func TestAPeerThatIsNotKnownAnyMoreCannotBeSent(t *testing.T) {
	a, b := newNode(t, Config{}), newNode(t, Config{})
	gone := dht.Peer{Ref: 1 << 30}
	mustBe(t, a.call(gone, &echo{}).Err, dht.ErrUnreachable)
	if res := a.call(a.knows(b), &echo{Peer: gone}); res.Err == nil || !res.From.IsZero() {
		t.Errorf("%+v", res)
	}
	b.do(func(context.Context) { b.lab.answer = gone })
	mustBe(t, a.call(a.knows(b), &echo{}).Err, dht.ErrInternal)
}
