package p2p

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"go.uber.org/goleak"

	"dyschord/dht"
)

// TestMain runs the tests and looks for goroutines they have left. Started by a
// benchmark, this binary is the server it calls.
func TestMain(m *testing.M) {
	if os.Getenv(serverEnv) != "" {
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// newHost starts a host on loopback that is closed with the test.
func newHost(t testing.TB, cfg Config, setup func(dht.Env) []dht.Service) *Host {
	t.Helper()
	if cfg.Key.priv == nil {
		key, err := NewKey()
		if err != nil {
			t.Fatal(err)
		}
		cfg.Key = key
	}
	if cfg.Inc == 0 {
		cfg.Inc = 1
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	if setup != nil {
		if err := h.Do(context.Background(), func(context.Context) { h.Serve(setup(h.Env())...) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	return h
}

type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("%s", p[:len(p)-1])
	return len(p), nil
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
