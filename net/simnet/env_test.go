package simnet

import (
	"context"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/internal/envtest"
)

// contract is a world for the tests that both worlds pass.
type contract struct {
	t   *testing.T
	net *Net
}

func (c contract) Start(setup func(env dht.Env) []dht.Service) envtest.Host {
	return guest{c.t, c.net.Add(setup)}
}

type guest struct {
	t  *testing.T
	nd *Node
}

func (g guest) Do(f func(context.Context)) {
	if !g.nd.Await("test", 30*time.Second, f) {
		g.t.Fatal("an activity has not ended after half a minute")
	}
}

func (g guest) Stop() {
	if err := g.nd.Stop(); err != nil {
		g.t.Fatal(err)
	}
}

func TestContractOfEnv(t *testing.T) {
	envtest.Test(t, func(t *testing.T) envtest.World {
		n := New(Config{Seed: 1})
		t.Cleanup(n.Close)
		return contract{t, n}
	})
}

func TestContractOfEnvOverTheCodec(t *testing.T) {
	envtest.Test(t, func(t *testing.T) envtest.World {
		n := New(Config{Seed: 2, CheckCodec: true, Bytes: 1})
		t.Cleanup(n.Close)
		return contract{t, n}
	})
}

// The contract promises nothing of what comes between the end of a wait and the
// activity that waited.
func TestContractOfEnvWhereActivitiesAreLate(t *testing.T) {
	for seed := range uint64(20) {
		envtest.Test(t, func(t *testing.T) envtest.World {
			n := New(Config{Seed: seed, Faults: Faults{Late: 0.5, LateBy: time.Millisecond, DiskJitter: time.Millisecond}})
			t.Cleanup(n.Close)
			return contract{t, n}
		})
	}
}
