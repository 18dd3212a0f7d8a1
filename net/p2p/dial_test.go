package p2p

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"dyschord/dht"
)

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
	a.closeBare(a.closeBare(nil))
	l.tidy(time.Now())
	if res := a.call(peer, &echo{}); res.Err != nil || l.streams() != 1 || a.Stats().Dials != 1 {
		t.Errorf("a stream was closed that had just been used: %v", res.Err)
	}
	l.tidy(time.Now().Add(time.Hour))
	b.until("the other side has seen it end", func() bool { return b.Stats().Streams == 0 })
	bare := a.closeBare(nil)
	if len(a.net.swarm.Conns()) != 1 {
		t.Error("a connection was closed that may just have been opened")
	}
	a.closeBare(bare)
	a.until("the connection is closed", func() bool { return len(a.net.swarm.Conns()) == 0 })
	if res := a.call(peer, &echo{}); res.Err != nil {
		t.Errorf("the next call: %v", res.Err)
	}
	if s := a.Stats(); s.Dials != 2 {
		t.Errorf("%d dials, want 2", s.Dials)
	}
}
