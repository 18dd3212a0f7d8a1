package envtest

import (
	"context"
	"iter"

	"dyschord/dht"
)

// The messages of the contract. Modes of a request say what its handler does.
type (
	request struct {
		N    int    `cbor:"1,keyasint"`
		Mode int    `cbor:"2,keyasint"`
		Text string `cbor:"3,keyasint,omitempty"`
		// Peers travel to the other side and back.
		Peers []dht.Peer `cbor:"4,keyasint,omitempty"`
	}
	// patient is a request whose handler may wait for others.
	patient struct {
		N int `cbor:"1,keyasint"`
	}
	answer struct {
		N     int        `cbor:"1,keyasint"`
		Peers []dht.Peer `cbor:"2,keyasint,omitempty"`
	}
	// stranger is a message that b does not know.
	stranger struct{}
)

const (
	modeEcho    = iota
	modeReject  // reply with dht.ErrRejected
	modeTimeout // reply with dht.ErrTimeout, as if a further call had failed
	modePlain   // reply with an error without a code
)

func (*request) Code() uint16  { return 240 }
func (*patient) Code() uint16  { return 241 }
func (*answer) Code() uint16   { return 242 }
func (*stranger) Code() uint16 { return 243 }

func (m *request) EachPeer(f func(*dht.Peer)) { each(m.Peers, f) }
func (m *answer) EachPeer(f func(*dht.Peer))  { each(m.Peers, f) }
func (*patient) EachPeer(func(*dht.Peer))     {}
func (*stranger) EachPeer(func(*dht.Peer))    {}

func each(peers []dht.Peer, f func(*dht.Peer)) {
	for i := range peers {
		f(&peers[i])
	}
}

// service records what it is asked. patient requests wait until release.
type service struct {
	env     dht.Env
	got     []int
	from    []dht.Peer
	kept    []dht.Reply
	changed dht.Signal

	knowsStranger bool
}

func (s *service) Kinds() []dht.Kind {
	kinds := []dht.Kind{
		{Code: 240, Name: "env_request", New: func() dht.Message { return new(request) }},
		{Code: 241, Name: "env_patient", New: func() dht.Message { return new(patient) }, Waits: dht.Network},
		{Code: 242, Name: "env_answer", New: func() dht.Message { return new(answer) }},
	}
	if s.knowsStranger {
		kinds = append(kinds, dht.Kind{Code: 243, Name: "env_stranger", New: func() dht.Message { return new(stranger) }})
	}
	return kinds
}

func (s *service) Peers() iter.Seq[dht.Peer] {
	return func(yield func(dht.Peer) bool) {
		for _, p := range s.from {
			if !yield(p) {
				return
			}
		}
	}
}

func (s *service) Handle(from dht.Peer, req dht.Message, r dht.Reply) {
	s.from = append(s.from, from)
	switch m := req.(type) {
	case *request:
		s.got = append(s.got, m.N)
		s.reply(m, r)
	case *patient:
		s.got = append(s.got, m.N)
		s.kept = append(s.kept, r)
	default:
		r.Send(nil, dht.ErrMalformed)
	}
	s.signal().Notify()
}

func (s *service) reply(m *request, r dht.Reply) {
	switch m.Mode {
	case modeReject:
		r.Send(nil, rejection(m.Text))
	case modeTimeout:
		r.Send(nil, dht.ErrTimeout)
	case modePlain:
		r.Send(nil, context.Canceled)
	default:
		r.Send(&answer{N: m.N, Peers: m.Peers}, nil)
	}
}

// signal is notified after each request.
func (s *service) signal() dht.Signal {
	if s.changed == nil {
		s.changed = s.env.Signal()
	}
	return s.changed
}

// received waits until that many requests have come.
func (s *service) received(ctx context.Context, count int) error {
	for len(s.got) < count {
		if err := s.signal().Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// release answers the kept requests, the latest first.
func (s *service) release() {
	for i := len(s.kept) - 1; i >= 0; i-- {
		s.kept[i].Send(&answer{N: s.got[i]}, nil)
	}
	s.kept = nil
}
