package p2p

import (
	"context"
	"errors"
	"iter"
	"slices"
	"testing"
	"time"

	"dyschord/dht"
)

// patient is a request whose handler keeps the reply until the test releases it.
type patient struct {
	Num uint64 `cbor:"1,keyasint,omitempty"`
}

func (*patient) Code() uint16             { return 201 }
func (*patient) EachPeer(func(*dht.Peer)) {}

// value carries data of any length there and back.
type value struct {
	Data []byte `cbor:"1,keyasint,omitempty"`
	Want int    `cbor:"2,keyasint,omitempty"` // bytes to send back
}

func (*value) Code() uint16             { return 300 }
func (*value) EachPeer(func(*dht.Peer)) {}

// lab is the service of the tests. The monitor guards its fields.
type lab struct {
	env   dht.Env
	kept  []dht.Reply
	from  []dht.Peer
	order []dht.Message
	holds []dht.Peer // what Peers visits
	came  dht.Signal

	answer dht.Peer // sent with an echo
}

func (*lab) Kinds() []dht.Kind {
	return []dht.Kind{
		{Code: 200, Name: "echo", New: func() dht.Message { return new(echo) }},
		{Code: 201, Name: "patient", New: func() dht.Message { return new(patient) }, Waits: dht.Network},
		{Code: 300, Name: "value", New: func() dht.Message { return new(value) }, Waits: dht.Disk, Data: true},
	}
}

func (s *lab) Peers() iter.Seq[dht.Peer] { return slices.Values(s.holds) }

func (s *lab) Handle(from dht.Peer, req dht.Message, r dht.Reply) {
	s.from = append(s.from, from)
	s.order = append(s.order, req)
	switch m := req.(type) {
	case *patient:
		s.kept = append(s.kept, r)
	case *value:
		r.Send(&value{Data: make([]byte, m.Want)}, nil)
	case *echo:
		back := *m
		if !s.answer.IsZero() {
			back.Peer = s.answer
		}
		r.Send(&back, nil)
	}
	s.came.Notify()
}

// node is a host with its lab.
type node struct {
	t testing.TB
	*Host
	lab *lab
}

func newNode(t testing.TB, cfg Config) *node {
	t.Helper()
	n := &node{t: t, lab: &lab{}}
	n.Host = newHost(t, cfg, func(env dht.Env) []dht.Service {
		n.lab.env, n.lab.came = env, env.Signal()
		return []dht.Service{n.lab}
	})
	return n
}

// do runs f as an activity.
func (n *node) do(f func(ctx context.Context)) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := n.Do(ctx, f); err != nil {
		n.t.Fatalf("Do: %v", err)
	}
}

// knows resolves the other node's address.
func (n *node) knows(other *node) dht.Peer {
	n.t.Helper()
	p, err := n.Resolve(context.Background(), other.Addrs()[0])
	if err != nil {
		n.t.Fatal(err)
	}
	return p
}

// call sends one request.
func (n *node) call(to dht.Peer, req dht.Message) (res dht.Result) {
	n.t.Helper()
	n.do(func(ctx context.Context) {
		calls := n.Env().Calls()
		defer calls.Close()
		calls.Start(to, req)
		var err error
		if res, err = calls.Next(ctx); err != nil {
			res.Err = err
		}
	})
	return res
}

// until waits for a condition on the state that the monitor guards.
func (n *node) until(what string, holds func() bool) {
	n.t.Helper()
	n.do(func(ctx context.Context) {
		for !holds() {
			if err := n.Env().Sleep(ctx, time.Millisecond); err != nil {
				n.t.Errorf("waiting until %s: %v", what, err)
				return
			}
		}
	})
	if n.t.Failed() {
		n.t.FailNow()
	}
}

func mustBe(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}
