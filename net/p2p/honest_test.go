package p2p

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peerstore"

	"dyschord/dht"
	"dyschord/internal/rto"
	"dyschord/net/wire"
)

// ErrBusy says that a request was not carried out, and callers repeat it.

func TestRepliesThatPileUpAreNotCalledBusy(t *testing.T) {
	a, b := newNode(t, Config{}), newNode(t, Config{SendBuffer: 2 << 20})
	peer := a.knows(b)
	a.do(func(ctx context.Context) {
		calls := a.Env().Calls()
		defer calls.Close()
		for range 30 {
			calls.Start(peer, &value{Want: 1 << 20})
		}
		for calls.Pending() > 0 {
			if res, err := calls.Next(ctx); err != nil || res.Err != nil {
				t.Errorf("a request ended with %v, %v", err, res.Err)
			}
		}
	})
}

func TestARequestThatWasHandledIsNotCalledBusy(t *testing.T) {
	// The caller has no room for the contact in the reply.
	a, b, c := newNode(t, Config{MaxPeers: 2}), newNode(t, Config{}), newNode(t, Config{})
	peer := b.knows(c)
	b.do(func(context.Context) { b.lab.answer = peer })
	res := a.call(a.knows(b), &echo{})
	mustBe(t, res.Err, dht.ErrGaveUp)
	b.do(func(context.Context) {
		if len(b.lab.order) != 1 {
			t.Errorf("%d requests were handled", len(b.lab.order))
		}
	})
}

func TestWhatAPeerIsOwedOutlastsItsConnection(t *testing.T) {
	a, b := newNode(t, Config{RedialMin: time.Millisecond}), newNode(t, Config{InFlight: 10})
	peer := a.knows(b)
	for range 4 {
		a.do(func(ctx context.Context) {
			calls := a.Env().Calls()
			defer calls.Close()
			for range 10 {
				calls.Start(peer, &patient{})
			}
			calls.Start(peer, &echo{}) // behind them: they have arrived when it ends
			for range 11 {
				res, err := calls.Next(ctx)
				if _, last := res.Req.(*echo); err != nil || last {
					return
				}
			}
		})
		a.net.swarm.ClosePeer(b.pid)
		a.until("the stream has ended", func() bool { return a.link(peer.Ref).streams() == 0 })
	}
	b.do(func(context.Context) {
		if n := len(b.lab.kept); n != 10 {
			t.Errorf("%d requests of one peer wait for their replies, 10 are allowed", n)
		}
		for _, r := range b.lab.kept {
			r.Send(&echo{}, nil)
		}
	})
	if res := a.call(peer, &echo{}); res.Err != nil {
		t.Errorf("when all are answered: %v", res.Err)
	}
}

func TestOwedRepliesAreBoundedInBytes(t *testing.T) {
	h := &Host{cfg: Config{SendBuffer: 100}.withDefaults()}
	in := &inbound{l: &link{h: h}}
	for i, want := range []bool{true, false} {
		if got := in.owe(1000); got != want {
			t.Errorf("request %d of 1000 bytes with room for 100: %v", i, got)
		}
	}
	in.settle(1000)
	if !in.owe(60) || !in.owe(40) || in.owe(1) {
		t.Error("100 bytes did not fit, or more did")
	}
}

func TestConnectionsWithoutStreamsAreClosed(t *testing.T) {
	b := newNode(t, Config{MaxConns: 4, Settings: agreed("chord")})
	for range 4 {
		idle := newNode(t, Config{})
		idle.net.peers.AddAddrs(b.pid, b.announce, peerstore.PermanentAddrTTL)
		if _, err := idle.net.swarm.DialPeer(network.WithDialPeerTimeout(context.Background(), time.Second), b.pid); err != nil {
			t.Fatal(err)
		}
	}
	a := newNode(t, Config{Settings: agreed("chord"), RedialMin: time.Millisecond, RedialMax: time.Millisecond})
	mustBe(t, a.call(a.knows(b), &echo{}).Err, dht.ErrUnreachable)
	b.closeBare(b.closeBare(nil))
	a.until("there is room for another", func() bool { return len(b.net.swarm.Conns()) == 0 })
	var res dht.Result
	a.do(func(ctx context.Context) {
		for peer := a.knows(b); ctx.Err() == nil; a.Env().Sleep(ctx, time.Millisecond) {
			if res = callOnce(ctx, a, peer); res.Err == nil {
				return
			}
		}
	})
	if res.Err != nil {
		t.Errorf("after the sweep: %v", res.Err)
	}
}

func TestEachPeerHasItsOwnTimeout(t *testing.T) {
	a := newNode(t, Config{})
	var links []*link
	for range 100 {
		p, err := a.book.note(testPeerID(t), nil, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		links = append(links, a.link(p.Ref))
	}
	for range 50 {
		for i, l := range links {
			rtt := time.Millisecond / 2
			if i == 0 {
				rtt = 300 * time.Millisecond
			}
			l.times.learn(rtt)
		}
	}
	if d := links[0].times.of(dht.Never); d < 300*time.Millisecond {
		t.Errorf("a peer 300 ms away gets %v", d)
	}
	if d := links[1].times.of(dht.Never); d > 250*time.Millisecond {
		t.Errorf("a near peer gets %v", d)
	}
}

func TestOneSilenceBacksOffOnce(t *testing.T) {
	a, b := newNode(t, Config{Timeouts: rto.Config{Margin: 50 * time.Millisecond}}), newNode(t, Config{})
	peer := a.knows(b)
	if res := a.call(peer, &echo{}); res.Err != nil {
		t.Fatal(res.Err)
	}
	times := &a.link(peer.Ref).times
	before := times.of(dht.Never)
	release := make(chan struct{})
	defer close(release)
	entered := make(chan struct{})
	go b.Do(context.Background(), func(context.Context) { close(entered); <-release })
	<-entered
	a.do(func(ctx context.Context) {
		calls := a.Env().Calls()
		defer calls.Close()
		for range 6 {
			calls.Start(peer, &echo{})
		}
		for calls.Pending() > 0 {
			if res, err := calls.Next(ctx); err != nil || !errors.Is(res.Err, dht.ErrTimeout) {
				t.Errorf("%v, %v", err, res.Err)
			}
		}
	})
	if after := times.of(dht.Never); after != 2*before {
		t.Errorf("six requests timed out together: %v became %v", before, after)
	}
}

func TestAReplyInFragmentsIsNotWaitedForForEver(t *testing.T) {
	l := &link{h: &Host{cfg: Config{}.withDefaults()}}
	o := &outbound{l: l, reader: &reader{}}
	now := time.Now()
	x := &call{id: 7, sent: now}
	part := wire.NewCodec((*lab)(nil).Kinds()).Assembler(1 << 20)
	first := wire.Frame{Header: wire.Header{Type: wire.Reply, ID: 7, Code: 300}, First: true, More: true, Total: 1000, Data: make([]byte, 10)}
	if _, _, err := part.Add(first); err != nil {
		t.Fatal(err)
	}
	o.reader.now = now
	o.follow(part, first)
	if !o.arrives(x, now.Add(time.Second/2)) {
		t.Error("a fragment half a second ago is no sign that the reply arrives")
	}
	other := wire.Frame{Header: wire.Header{Type: wire.Reply, ID: 8, Code: 200}, First: true}
	o.reader.now = now.Add(2 * time.Second)
	o.follow(part, other)
	if o.arrives(x, now.Add(2*time.Second)) {
		t.Error("frames of other replies keep the call waiting")
	}
	o.reader.now = now.Add(2 * time.Minute)
	o.follow(part, first)
	if o.arrives(x, now.Add(2*time.Minute)) {
		t.Error("the ceiling does not hold")
	}
}

func TestARetiredStreamThatTakesNothingEnds(t *testing.T) {
	a, b := newNode(t, Config{Stall: 100 * time.Millisecond, SendBuffer: 64 << 20}), newNode(t, Config{})
	peer := a.knows(b)
	if res := a.call(peer, &echo{}); res.Err != nil {
		t.Fatal(res.Err)
	}
	release := make(chan struct{})
	defer close(release)
	entered := make(chan struct{})
	go b.Do(context.Background(), func(context.Context) { close(entered); <-release })
	<-entered
	l := a.link(peer.Ref)
	l.mu.Lock()
	out := l.out
	l.mu.Unlock()
	a.do(func(context.Context) {
		calls := a.Env().Calls()
		for range 40 {
			calls.Start(peer, &value{Data: make([]byte, 1<<20)})
		}
		calls.Close()
	})
	if !out.retire(time.Now(), 0) {
		t.Fatal("a stream nobody waits on was kept")
	}
	a.until("its goroutines have ended", func() bool { return a.streams.running() == 1 })
}

// unconnected is a host without a network under it, and its link to somebody.
func unconnected(t testing.TB) (*Host, *link) {
	h, err := benchHostConfig(Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	p, err := h.book.note(testPeerID(t), nil, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	return h, h.link(p.Ref)
}

func TestADialThatFindsALaterRunEndsTheEarlier(t *testing.T) {
	h, l := unconnected(t)
	for earlier, ends := range map[uint32]bool{1: true, 2: false} {
		old := &script{Reader: bytes.NewReader(nil)}
		l.in = newInbound(l, old, dht.Peer{Ref: l.ref, Inc: earlier}, newReader(old, &h.counters), 1<<20)
		fresh := &script{Reader: bytes.NewReader(nil)}
		l.connected(newOutbound(l, fresh, dht.Peer{Ref: l.ref, Inc: 2}, newReader(fresh, &h.counters), 1<<20))
		if old.isClosed() != ends {
			t.Errorf("the stream of incarnation %d was ended: %v, want %v", earlier, !ends, ends)
		}
	}
}

func TestTheTimeForALongMessageBeginsWhenItIsWritten(t *testing.T) {
	h, l := unconnected(t)
	s := &script{Reader: bytes.NewReader(nil)}
	o := newOutbound(l, s, dht.Peer{Ref: l.ref, Inc: 1}, newReader(s, &h.counters), 1<<21)
	l.times.learn(time.Millisecond)
	x := h.newCalls().newCall()
	x.set, x.weight, x.began = h.newCalls(), 1<<20, time.Now()
	x.kind = dht.Kind{Code: 300, Waits: dht.Disk, Data: true}
	l.mu.Lock()
	err := o.send(x, x.began)
	l.mu.Unlock()
	if err != nil || x.due.Sub(x.began) < h.cfg.Timeouts.Ceiling {
		t.Errorf("while it waits to be written: %v (%v)", x.due.Sub(x.began), err)
	}
	o.wrote(x)
	if left := time.Until(x.due); left > h.cfg.Timeouts.Disk+h.cfg.Timeouts.Max {
		t.Errorf("when it is written: %v", left)
	}
	o.end(nil)
}

func TestAResultComesBeforeTheEndOfItsContext(t *testing.T) {
	h, _ := unconnected(t)
	c := h.newCalls()
	if c.has(context.Canceled) {
		t.Error("there is no result yet")
	}
	c.finish(c.newCall(), time.Now(), dht.Peer{}, nil, dht.ErrTimeout)
	if !c.has(context.Canceled) || c.has(dht.ErrClosed) {
		t.Error("a result counts unless the node is closing")
	}
}

func TestTheHandshakeIsTheFirstSample(t *testing.T) {
	a, b := newNode(t, Config{}), newNode(t, Config{})
	peer := a.knows(b)
	if res := a.call(peer, &value{}); res.Err != nil { // waits for a disk: teaches nothing
		t.Fatal(res.Err)
	}
	if d := a.link(peer.Ref).times.of(dht.Never); d == a.cfg.Timeouts.Initial {
		t.Error("nothing is known of a peer that has shaken hands")
	}
}
