package p2p

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"dyschord/dht"
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
	mustBe(t, res.Err, dht.ErrGaveUp)
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
	mustBe(t, a.call(a.knows(b), &echo{}).Err, dht.ErrGaveUp)
}
