package p2p

import (
	"context"
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
