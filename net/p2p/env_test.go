package p2p

import (
	"context"
	"slices"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/internal/envtest"
)

// world starts hosts on loopback for the contract of dht.Env.
type world struct{ t *testing.T }

type worldHost struct {
	t *testing.T
	*Host
}

func (w world) Start(setup func(dht.Env) []dht.Service) envtest.Host {
	h := newHost(w.t, Config{}, setup)
	return worldHost{w.t, h}
}

func (h worldHost) Do(f func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := h.Host.Do(ctx, f); err != nil {
		h.t.Errorf("Do: %v", err)
	}
	if ctx.Err() != nil {
		h.t.Error("an activity took more than half a minute")
	}
}

func (h worldHost) Stop() { h.Close() }

func TestEnv(t *testing.T) {
	envtest.Test(t, func(t *testing.T) envtest.World { return world{t} })
}

func TestActivitiesBeginInTheOrderOfTheirStart(t *testing.T) {
	n := newNode(t, Config{})
	var began []int
	n.do(func(ctx context.Context) {
		for i := range 500 {
			n.Env().Go("one of many", func(context.Context) { began = append(began, i) })
		}
	})
	n.until("all have begun", func() bool { return len(began) == 500 })
	n.do(func(context.Context) {
		if !slices.IsSorted(began) {
			t.Errorf("activities began as %v", began)
		}
	})
}
