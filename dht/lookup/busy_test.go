package lookup

import (
	"errors"
	"slices"
	"testing"
	"time"

	"dyschord/dht"
)

// A named owner that is busy for a moment is no dead one: it is asked again, while the
// next is asked too, and nobody suspects it.
func TestBusyOwnerIsAskedAgain(t *testing.T) {
	s := newScript(t, 4, Config{HopTimeout: time.Second})
	s.say[0].steps, s.say[3].owners = s.peers(3), s.peers(1, 2)
	s.hosts[1].refuse = dht.ErrBusy
	next := 0
	s.net.After(100*ms, func() { s.hosts[1].refuse, next = nil, s.hosts[2].found })
	r, err := s.hosts[0].lookup(t, 5, 1)
	// The way, a refusal, the pause, the answer; and the next owner at once.
	if err != nil || !slices.Equal(ids(r.Owners), []uint64{10}) || r.Took != 160*ms || next != 1 {
		t.Errorf("owners %v after %v, %v; the next was asked %d times by then", ids(r.Owners), r.Took, err, next)
	}
	if r.Timeouts > 0 || len(s.say[0].suspected)+len(s.say[3].suspected) > 0 {
		t.Errorf("%d time-outs; suspected: %v and %v", r.Timeouts, ids(s.say[0].suspected), ids(s.say[3].suspected))
	}
}

// The same where nobody else is left to ask meanwhile.
func TestOnlyOwnerIsBusy(t *testing.T) {
	s := newScript(t, 2, Config{HopTimeout: time.Second})
	s.say[0].owners = s.peers(1)
	s.hosts[1].refuse = dht.ErrBusy
	s.net.After(100*ms, func() { s.hosts[1].refuse = nil })
	r, err := s.hosts[0].lookup(t, 5, 1)
	if err != nil || !slices.Equal(ids(r.Owners), []uint64{10}) || r.Took != 140*ms {
		t.Errorf("owners %v after %v, %v", ids(r.Owners), r.Took, err)
	}
}

// One that stays busy is passed over; if all are, the caller should know that it had
// better come back, not that there is no route.
func TestAllAreBusy(t *testing.T) {
	both(t, func(t *testing.T, style Style) {
		s := newScript(t, 4, Config{Style: style})
		s.say[0].owners, s.say[0].steps = s.peers(1, 2), s.peers(3)
		for _, h := range s.hosts[1:] {
			h.refuse = dht.ErrBusy
		}
		r, err := s.hosts[0].lookup(t, 5, 1)
		if !errors.Is(err, dht.ErrBusy) || len(s.say[0].suspected) > 0 || r.Timeouts > 0 {
			t.Errorf("%v after %d time-outs, suspected: %v", err, r.Timeouts, ids(s.say[0].suspected))
		}
		s.hosts[3].refuse = dht.ErrRejected
		if r, err := s.hosts[0].lookup(t, 5, 1); !errors.Is(err, dht.ErrNoRoute) || r.Timeouts > 0 {
			t.Errorf("one refuses: %v after %d time-outs", err, r.Timeouts)
		}
		s.hosts[2].refuse = nil
		if r, err := s.hosts[0].lookup(t, 5, 1); err != nil || !slices.Equal(ids(r.Owners), []uint64{20}) {
			t.Errorf("one has time: %v, %v", ids(r.Owners), err)
		}
	})
}

// Nor is one dead to whom the connection was lost a moment ago.
func TestUnreachableOwnerIsAskedAgain(t *testing.T) {
	s := newScript(t, 3, Config{HopTimeout: time.Second})
	s.say[0].owners = s.peers(1, 2)
	s.net.CutFor(s.hosts[0].Node, s.hosts[1].Node, 80*ms)
	if r, err := s.hosts[0].lookup(t, 5, 1); err != nil || !slices.Equal(ids(r.Owners), []uint64{10}) || r.Took != 120*ms {
		t.Errorf("owners %v after %v, %v", ids(r.Owners), r.Took, err)
	}
}
