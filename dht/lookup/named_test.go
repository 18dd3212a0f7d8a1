package lookup

import (
	"slices"
	"testing"
	"time"

	"dyschord/dht"
)

// A node named as an owner while its answer to the question for the way is awaited is
// not asked twice; only if it does not name itself then.
func TestWhoIsAskedForTheWayIsNotAskedAsAnOwnerToo(t *testing.T) {
	for _, row := range []struct {
		namesItself      bool
		rounds, messages int
	}{{true, 1, 2}, {false, 2, 3}} {
		s := newScript(t, 3, Config{Alpha: 2})
		s.say[0].steps = s.peers(2, 1)
		s.say[2].owners = s.peers(1, 2)
		if row.namesItself {
			s.say[1].owners = s.peers(1, 2)
		}
		r, err := s.hosts[0].lookup(t, 5, 2)
		if err != nil || !slices.Equal(ids(r.Owners), []uint64{10, 20}) {
			t.Fatalf("found %v, %v", ids(r.Owners), err)
		}
		if r.Rounds != row.rounds || r.Messages != row.messages {
			t.Errorf("names itself: %v: %d messages in %d rounds, want %d in %d", row.namesItself, r.Messages, r.Rounds, row.messages, row.rounds)
		}
	}
}

// listener notes who has answered, and tells why owners are named.
type listener struct {
	scripted
	heard []uint64
}

func (l *listener) Answered(p dht.Peer, rtt time.Duration) {
	if rtt == 20*ms {
		l.heard = append(l.heard, p.ID.Lo())
	}
}

func (*listener) OwnerReason(key dht.ID, namer, owner dht.Peer) dht.Reason {
	return dht.Reason{Rule: 9, N: int32(10_000*key.Lo() + 100*namer.ID.Lo() + owner.ID.Lo())}
}

// Who refuses has not answered: a routing table that took it in would hold a node that
// is no member.
func TestRefusalIsNoAnswer(t *testing.T) {
	both(t, func(t *testing.T, style Style) {
		s, l := newScript(t, 4, Config{Style: style}), &listener{}
		listen(t, s, l, Config{Style: style})
		l.steps = s.peers(3, 2)
		s.say[2].owners = s.peers(2)
		s.hosts[3].refuse = dht.ErrRejected
		if r, err := s.hosts[0].lookup(t, 15, 1); err != nil || !slices.Equal(ids(r.Owners), []uint64{20}) {
			t.Fatalf("found %v, %v", ids(r.Owners), err)
		}
		if !slices.Equal(l.heard, []uint64{20}) || !slices.Equal(ids(l.suspected), []uint64{30}) {
			t.Errorf("%v have answered, %v are suspected", l.heard, ids(l.suspected))
		}
	})
}

// An algorithm may tell why an owner was named; others leave it at that.
func TestOwnersAreNamedForAReason(t *testing.T) {
	both(t, func(t *testing.T, style Style) {
		s, l := newScript(t, 3, Config{Style: style}), &listener{}
		listen(t, s, l, Config{Style: style})
		l.owners = s.peers(2)
		r, err := s.hosts[0].lookup(t, 15, 1)
		if err != nil || len(r.Hops) != 1 || r.Hops[0].Why != (dht.Reason{Rule: 9, N: 150_020}) {
			t.Errorf("the way is %+v, %v", r.Hops, err)
		}
	})
}

// listen puts l in the place of host 0's router.
func listen(t *testing.T, s *script, l *listener, cfg Config) {
	resolved, err := cfg.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	l.self = s.hosts[0].Peer()
	s.hosts[0].driver = New[none](s.hosts[0].driver.env, l, space, resolved)
}
