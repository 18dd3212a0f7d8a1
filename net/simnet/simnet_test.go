package simnet

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"dyschord/dht"
)

const (
	ms  = time.Millisecond
	sec = time.Second
)

// ping, hold and pong are the messages of the test service.
type ping struct {
	N     int        `cbor:"1,keyasint"`
	Peers []dht.Peer `cbor:"2,keyasint"`
}
type hold struct {
	N int `cbor:"1,keyasint"`
}
type pong struct {
	N     int        `cbor:"1,keyasint"`
	Peers []dht.Peer `cbor:"2,keyasint"`
}

func (*ping) Code() uint16 { return 200 }
func (*hold) Code() uint16 { return 201 }
func (*pong) Code() uint16 { return 202 }

func (m *ping) EachPeer(f func(*dht.Peer)) { eachPeer(m.Peers, f) }
func (*hold) EachPeer(func(*dht.Peer))     {}
func (m *pong) EachPeer(f func(*dht.Peer)) { eachPeer(m.Peers, f) }

func eachPeer(peers []dht.Peer, f func(*dht.Peer)) {
	for i := range peers {
		f(&peers[i])
	}
}

// echo answers pings at once and keeps the replies of holds.
type echo struct {
	env  dht.Env
	got  []int
	from []dht.Peer
	held []dht.Reply
	on   func(from dht.Peer, req dht.Message, r dht.Reply) bool
}

func (*echo) Kinds() []dht.Kind {
	return []dht.Kind{
		{Code: 200, Name: "ping", New: func() dht.Message { return new(ping) }},
		{Code: 201, Name: "hold", New: func() dht.Message { return new(hold) }, Waits: dht.Network},
		{Code: 202, Name: "pong", New: func() dht.Message { return new(pong) }},
	}
}

func (*echo) Peers() iter.Seq[dht.Peer] { return func(func(dht.Peer) bool) {} }

func (s *echo) Handle(from dht.Peer, req dht.Message, r dht.Reply) {
	if s.on != nil && s.on(from, req, r) {
		return
	}
	s.from = append(s.from, from)
	switch m := req.(type) {
	case *ping:
		s.got = append(s.got, m.N)
		r.Send(&pong{N: m.N, Peers: m.Peers}, nil)
	case *hold:
		s.got = append(s.got, m.N)
		s.held = append(s.held, r)
	}
}

// world makes a net of k nodes with an echo service each, closed with the test.
func world(t testing.TB, cfg Config, k int) (*Net, []*Node, []*echo) {
	if cfg.Latency == nil {
		cfg.Latency = Constant(10 * ms)
	}
	n := New(cfg)
	t.Cleanup(n.Close)
	nodes, services := make([]*Node, k), make([]*echo, k)
	for i := range k {
		nodes[i] = n.Add(func(env dht.Env) []dht.Service {
			services[i] = &echo{env: env}
			return []dht.Service{services[i]}
		})
	}
	return n, nodes, services
}

func TestCallTakesOneRoundTrip(t *testing.T) {
	n, nodes, services := world(t, Config{}, 2)
	var got *pong
	var err error
	if !nodes[0].Await("call", sec, func(ctx context.Context) {
		got, err = dht.Ask[*pong](ctx, services[0].env, nodes[1].Peer(), &ping{N: 7})
	}) {
		t.Fatal("the call did not end")
	}
	if err != nil || got.N != 7 {
		t.Fatalf("got %v, %v", got, err)
	}
	if n.Now() != 20*ms {
		t.Errorf("a call took %v, want 20ms", n.Now())
	}
	if services[1].from[0] != nodes[0].Peer() {
		t.Errorf("handler saw %v, want %v", services[1].from[0], nodes[0].Peer())
	}
}

func TestCallToCrashedNodeTimesOut(t *testing.T) {
	n, nodes, services := world(t, Config{}, 2)
	nodes[1].Crash()
	var err error
	nodes[0].Await("call", 10*sec, func(ctx context.Context) {
		_, err = dht.Call(ctx, services[0].env, nodes[1].Peer(), &ping{})
	})
	if !errors.Is(err, dht.ErrTimeout) || n.Now() != sec {
		t.Errorf("%v after %v, want a time-out after 1s, the initial one", err, n.Now())
	}
}
