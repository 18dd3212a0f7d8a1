package lookup

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/net/simnet"
)

// scripted is a router whose answers a test writes down. Nearer is to have a greater
// identifier, as long as it is below the key; owners are ordered likewise, from the
// key on.
type scripted struct {
	self      dht.Peer
	steps     []dht.Peer
	owners    []dht.Peer
	atOwner   []dht.Peer // nil: self alone
	suspected []dht.Peer
}

func (*scripted) Begin(dht.ID) none { return none{} }
func (s *scripted) Next(_ dht.ID, _ none, n int) ([]Step[none], []dht.Peer) {
	var steps []Step[none]
	for _, p := range s.steps {
		steps = append(steps, Step[none]{Peer: p, Why: dht.Reason{Rule: 7}})
	}
	return steps, s.owners
}

func (s *scripted) Owners(dht.ID, int) []dht.Peer {
	if s.atOwner != nil {
		return s.atOwner
	}
	return []dht.Peer{s.self}
}
func (*scripted) Nearer(_ dht.ID, a, b Step[none]) bool { return b.Peer.ID.Less(a.Peer.ID) }
func (*scripted) Before(key dht.ID, a, b dht.Peer) bool {
	return space.Sub(a.ID, key).Less(space.Sub(b.ID, key))
}
func (s *scripted) Suspect(p dht.Peer)             { s.suspected = append(s.suspected, p) }
func (*scripted) Answered(dht.Peer, time.Duration) {}

// script is hosts 0 to k-1 with the identifiers 0, 10, 20, …
type script struct {
	t     *testing.T
	net   *simnet.Net
	hosts []*host[none]
	say   []*scripted
}

func newScript(t *testing.T, k int, cfg Config) *script {
	s := &script{t: t, net: newNet(t)}
	s.add(k, cfg)
	return s
}

func (s *script) add(k int, cfg Config) {
	for i := range k {
		r := &scripted{}
		h := addHost(s.t, s.net, uint64(10*i), r, cfg)
		r.self = h.Peer()
		s.hosts, s.say = append(s.hosts, h), append(s.say, r)
	}
}

func (s *script) peers(is ...int) []dht.Peer {
	var out []dht.Peer
	for _, i := range is {
		out = append(out, s.hosts[i].Peer())
	}
	return out
}

// warm lets node 0 know the round trips to everybody.
func (s *script) warm() {
	s.hosts[0].Await("warm", time.Minute, func(ctx context.Context) {
		for _, h := range s.hosts[1:] {
			for range 20 {
				_, _ = dht.Call(ctx, s.hosts[0].driver.env, h.Peer(), &suspect{Peer: h.Peer()})
			}
		}
	})
	for _, r := range s.say {
		r.suspected = nil
	}
}

// line lets node i know i+1 and i+2, and node k-2 and k-3 name k-1 as the owner.
func (s *script) line() {
	k := len(s.hosts)
	for i := range k - 3 {
		s.say[i].steps = s.peers(i+2, i+1)
	}
	s.say[k-3].owners, s.say[k-2].owners = s.peers(k-1), s.peers(k-1)
}

func both(t *testing.T, test func(t *testing.T, style Style)) {
	for _, style := range []Style{Iterative, Recursive} {
		t.Run(style.String(), func(t *testing.T) { test(t, style) })
	}
}

func TestRouteTellsTheWay(t *testing.T) {
	both(t, func(t *testing.T, style Style) {
		s := newScript(t, 8, Config{Style: style})
		s.line()
		r, err := s.hosts[0].lookup(t, 65, 1)
		if err != nil || !slices.Equal(hopIDs(r), []uint64{20, 40, 50, 70}) && !slices.Equal(hopIDs(r), []uint64{20, 40, 60, 70}) {
			t.Fatalf("the way is %v, %v", hopIDs(r), err)
		}
		for i, h := range r.Hops {
			wantWhy := dht.Reason{Rule: 7}
			if i == 3 {
				wantWhy = dht.Reason{Rule: RuleOwner}
			}
			if h.Why != wantWhy {
				t.Errorf("hop %d was taken for %+v", i, h.Why)
			}
			if style == Iterative && h.Latency != 20*ms {
				t.Errorf("hop %d took %v, want a round trip of 20ms", i, h.Latency)
			}
		}
		want := 80 * ms // four round trips
		if style == Recursive {
			want = 50 * ms // four hops and the owner's message
		}
		if r.Took != want || r.Timeouts != 0 {
			t.Errorf("it took %v and %d time-outs, want %v and none", r.Took, r.Timeouts, want)
		}
	})
}

// A peer that stalls costs one time-out, the next candidate leads on, and who named
// the peer is told.
func TestStalledPeerCostsOneTimeout(t *testing.T) {
	both(t, func(t *testing.T, style Style) {
		s := newScript(t, 8, Config{Style: style})
		s.line()
		s.warm()
		s.hosts[2].Pause(time.Hour)
		r, err := s.hosts[0].lookup(t, 65, 1)
		if err != nil || hopIDs(r)[0] != 10 || r.Timeouts != 1 {
			t.Fatalf("the way is %v with %d time-outs, %v", hopIDs(r), r.Timeouts, err)
		}
		if r.Took > 500*ms {
			t.Errorf("it took %v", r.Took)
		}
		if got := ids(s.say[0].suspected); !slices.Equal(got, []uint64{20}) {
			t.Errorf("node 0, which named 20, suspects %v", got)
		}
	})
}

// The same further on: the node that named the stalled peer hears of it, the origin
// goes back to what that node or an earlier one had named.
func TestPreviousHopIsTold(t *testing.T) {
	both(t, func(t *testing.T, style Style) {
		s := newScript(t, 8, Config{Style: style})
		s.line()
		s.hosts[4].Crash()
		r, err := s.hosts[0].lookup(t, 65, 1)
		s.net.RunFor(time.Second)
		if err != nil || r.Owners[0] != s.hosts[7].Peer() {
			t.Fatalf("found %v, %v", ids(r.Owners), err)
		}
		if got := ids(s.say[2].suspected); !slices.Equal(got, []uint64{40}) {
			t.Errorf("node 20, which named 40, suspects %v", got)
		}
		// Whoever has waited in vain suspects it too: the origin of an iterative lookup.
		want := []uint64{40}
		if style == Recursive {
			want = []uint64{}
		}
		if got := ids(s.say[0].suspected); !slices.Equal(got, want) {
			t.Errorf("node 0 suspects %v", got)
		}
	})
}

// Even where the Env waits long, a hop holds a lookup up for HopTimeout at most.
func TestHopTimeoutBoundsAHop(t *testing.T) {
	both(t, func(t *testing.T, style Style) {
		s := newScript(t, 5, Config{Style: style, HopTimeout: 300 * ms})
		s.line()
		s.hosts[2].Crash() // a stranger: the Env would wait a second
		r, err := s.hosts[0].lookup(t, 35, 1)
		if err != nil || r.Took > 500*ms {
			t.Errorf("it took %v, %v", r.Took, err)
		}
	})
}

// A named owner that has lost a packet is asked again; one that is dead is replaced
// by the next, and by whom the live ones know.
func TestOwnersAreLive(t *testing.T) {
	both(t, func(t *testing.T, style Style) {
		s := newScript(t, 8, Config{Style: style})
		s.say[0].owners = s.peers(1, 2, 3, 4)
		s.say[2].atOwner = s.peers(2, 3, 4)
		s.say[4].atOwner = s.peers(4, 5, 6)
		s.hosts[1].Crash()
		s.hosts[3].Crash()
		r, err := s.hosts[0].lookup(t, 5, 4)
		if got := ids(r.Owners); err != nil || !slices.Equal(got, []uint64{20, 40, 50, 60}) {
			t.Errorf("owners %v, %v", got, err)
		}
		if r.Timeouts < 2 || r.Timeouts > 4 {
			t.Errorf("%d time-outs for two dead owners", r.Timeouts)
		}
	})
}

func TestOwnerIsAskedAgainAfterALostPacket(t *testing.T) {
	s := newScript(t, 4, Config{})
	s.say[0].owners = s.peers(1, 2)
	lost := 0
	s.net.SetLink(func(_, to *simnet.Node) bool {
		if to == s.hosts[1].Node && lost == 0 {
			lost++
			return false
		}
		return true
	})
	if r, err := s.hosts[0].lookup(t, 5, 1); err != nil || r.Owners[0] != s.hosts[1].Peer() || lost != 1 {
		t.Errorf("owners %v, %v, after %d lost packets", ids(r.Owners), err, lost)
	}
}

// While an owner that was silent is asked again, the next is asked as well: k dead
// owners in a row cost k+1 time-outs, not 2k.
func TestDeadOwnersInARowAreTriedTogether(t *testing.T) {
	s := newScript(t, 6, Config{HopTimeout: 300 * ms})
	s.say[0].owners = s.peers(1, 2, 3, 4)
	for _, i := range []int{1, 2, 3} {
		s.hosts[i].Crash()
	}
	r, err := s.hosts[0].lookup(t, 5, 1)
	if err != nil || r.Owners[0] != s.hosts[4].Peer() || r.Timeouts != 6 || r.Took > 1250*ms {
		t.Errorf("owners %v after %v and %d time-outs, %v", ids(r.Owners), r.Took, r.Timeouts, err)
	}
}

// Owners are named in the incarnation in which they answered, not as others knew
// them.
func TestOwnersAreNamedAsTheyAnswered(t *testing.T) {
	both(t, func(t *testing.T, style Style) {
		s := newScript(t, 4, Config{Style: style})
		old := s.peers(2, 3)
		old[0].Inc, old[1].Inc = 0, 0
		s.say[0].owners = old
		s.say[2].atOwner = []dht.Peer{s.hosts[2].Peer(), old[1]}
		r, err := s.hosts[0].lookup(t, 15, 2)
		if err != nil || !slices.Equal(r.Owners, s.peers(2, 3)) {
			t.Errorf("owners %v, %v", r.Owners, err)
		}
	})
}

// An owner that knows of a better one is heard.
func TestOwnerNamesBetterOwner(t *testing.T) {
	both(t, func(t *testing.T, style Style) {
		s := newScript(t, 4, Config{Style: style})
		s.say[0].owners = s.peers(2)
		s.say[2].atOwner = s.peers(1, 2)
		r, err := s.hosts[0].lookup(t, 5, 1)
		if err != nil || r.Owners[0] != s.hosts[1].Peer() || !slices.Equal(hopIDs(r), []uint64{20, 10}) {
			t.Errorf("owners %v by way of %v, %v", ids(r.Owners), hopIDs(r), err)
		}
	})
}

// The origin may own the key itself, by its own knowledge or by others'. Neither is
// a hop.
func TestOriginIsOwner(t *testing.T) {
	both(t, func(t *testing.T, style Style) {
		s := newScript(t, 4, Config{Style: style})
		s.say[0].owners = s.peers(0)
		if r, err := s.hosts[0].lookup(t, 5, 1); err != nil || r.Owners[0] != s.hosts[0].Peer() || len(r.Hops)+r.Messages > 0 {
			t.Errorf("by its own knowledge: %+v, %v", r, err)
		}
		s.say[0].owners, s.say[0].steps = nil, s.peers(2)
		s.say[2].owners = s.peers(0)
		r, err := s.hosts[0].lookup(t, 5, 1)
		if err != nil || r.Owners[0] != s.hosts[0].Peer() || !slices.Equal(hopIDs(r), []uint64{20}) {
			t.Errorf("by the knowledge of 20: %v by way of %v, %v", ids(r.Owners), hopIDs(r), err)
		}
	})
}

// Answers that lead away or in a circle are dropped.
func TestProgressIsEnforced(t *testing.T) {
	both(t, func(t *testing.T, style Style) {
		s := newScript(t, 4, Config{Style: style})
		s.say[0].steps = s.peers(2)
		s.say[2].steps = s.peers(1, 2, 0)
		s.say[1].owners = s.peers(3)
		r, err := s.hosts[0].lookup(t, 35, 1)
		if !errors.Is(err, dht.ErrNoRoute) || s.hosts[1].found > 0 || r.Messages > 6 {
			t.Errorf("%+v, %v, and node 10 was asked %d times", r, err, s.hosts[1].found)
		}
		if style == Iterative && !slices.Equal(hopIDs(r), []uint64{20}) {
			t.Errorf("the way to where it failed is %v", hopIDs(r))
		}
	})
}

func TestHopLimitEndsALookup(t *testing.T) {
	both(t, func(t *testing.T, style Style) {
		s := newScript(t, 20, Config{Style: style, HopLimit: 8})
		for i := range 19 {
			s.say[i].steps = s.peers(i + 1)
		}
		r, err := s.hosts[0].lookup(t, 255, 1)
		if !errors.Is(err, dht.ErrNoRoute) || len(r.Hops) > 8 || s.hosts[10].found > 0 {
			t.Errorf("%d hops, %v", len(r.Hops), err)
		}
	})
}

func TestDeadlineEndsALookup(t *testing.T) {
	both(t, func(t *testing.T, style Style) {
		s := newScript(t, 20, Config{Style: style, Timeout: time.Second})
		s.say[0].steps = s.peers(19, 18, 17, 16, 15, 14)
		for _, h := range s.hosts[1:] {
			h.Crash()
		}
		r, err := s.hosts[0].lookup(t, 255, 1)
		if !errors.Is(err, dht.ErrTimeout) || r.Took != time.Second {
			t.Errorf("it ended after %v with %v", r.Took, err)
		}
	})
}

// The caller's context ends a lookup with the caller's error, not with a time-out.
func TestCallerMayStop(t *testing.T) {
	both(t, func(t *testing.T, style Style) {
		s := newScript(t, 3, Config{Style: style})
		s.say[0].steps = s.peers(1)
		s.hosts[1].Crash()
		env := s.hosts[0].driver.env
		s.hosts[0].Await("lookup", time.Minute, func(ctx context.Context) {
			limited, cancel := env.WithTimeout(ctx, 50*ms)
			defer cancel()
			_, err := s.hosts[0].driver.Lookup(limited, dht.NewID(0, 255), 1)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the error is %v", err)
			}
		})
	})
}

// Several candidates at once hide a stalled one.
func TestAlphaHidesAStalledPeer(t *testing.T) {
	s := newScript(t, 5, Config{Alpha: 2})
	s.say[0].steps = s.peers(3, 2)
	s.say[2].owners = s.peers(4)
	s.hosts[3].Pause(time.Hour)
	if r, err := s.hosts[0].lookup(t, 35, 1); err != nil || r.Took != 40*ms {
		t.Errorf("it took %v, %v", r.Took, err)
	}
}

func TestViaBeginsAtTheSeed(t *testing.T) {
	s := newScript(t, 6, Config{})
	s.say[0].owners = s.peers(0) // of no weight
	s.say[1].steps = s.peers(3)
	s.say[3].owners = s.peers(5)
	s.hosts[0].Await("via", time.Minute, func(ctx context.Context) {
		r, err := s.hosts[0].driver.Via(ctx, s.hosts[1].Peer(), dht.NewID(0, 45), 1)
		if err != nil || !slices.Equal(hopIDs(r), []uint64{10, 30, 50}) || r.Hops[0].Why.Rule != RuleSeed {
			t.Errorf("the way is %v, %v", hopIDs(r), err)
		}
	})
}

// A dead seed was named by the caller, not by the tables.
func TestDeadSeedIsNotSuspected(t *testing.T) {
	s := newScript(t, 2, Config{})
	s.hosts[1].Crash()
	s.hosts[0].Await("via", time.Minute, func(ctx context.Context) {
		if _, err := s.hosts[0].driver.Via(ctx, s.hosts[1].Peer(), dht.NewID(0, 45), 1); !errors.Is(err, dht.ErrNoRoute) {
			t.Errorf("the error is %v", err)
		}
	})
	if got := s.say[0].suspected; len(got) > 0 {
		t.Errorf("suspected: %v", ids(got))
	}
}

// A recursive lookup that gets lost on the way is begun again.
func TestLostRecursiveLookupIsBegunAgain(t *testing.T) {
	s := newScript(t, 8, Config{Style: Recursive})
	s.line()
	crashed := false
	s.net.SetLink(func(from, _ *simnet.Node) bool {
		if from == s.hosts[4].Node && !crashed {
			crashed = true
			s.net.After(0, s.hosts[4].Crash) // it has acknowledged, and is gone
		}
		return true
	})
	r, err := s.hosts[0].lookup(t, 65, 1)
	if err != nil || r.Owners[0] != s.hosts[7].Peer() || !crashed {
		t.Errorf("found %v, %v", ids(r.Owners), err)
	}
}

// A refusal is no time-out: the next candidate is asked at once.
func TestRefusalCostsARoundTrip(t *testing.T) {
	s := newScript(t, 8, Config{})
	s.line()
	s.hosts[2].refuse = dht.ErrRejected
	r, err := s.hosts[0].lookup(t, 65, 1)
	if err != nil || r.Timeouts > 0 || r.Took > 120*ms {
		t.Errorf("it took %v and %d time-outs, %v", r.Took, r.Timeouts, err)
	}
}

func TestMalformedMessagesAreRefused(t *testing.T) {
	s := newScript(t, 3, Config{})
	key, self := dht.NewID(0, 1), s.hosts[0].Peer()
	hops := make([]move, maxHops+1)
	for i := range hops {
		hops[i].Peer = self
	}
	good, outside := find[none]{Key: key, N: 1}, dht.NewID(0, 1<<16)
	s.hosts[0].Await("send", time.Minute, func(ctx context.Context) {
		for text, m := range map[string]dht.Message{
			"no candidates wanted":   &find[none]{Key: key},
			"key outside the space":  &find[none]{Key: outside, N: 1},
			"forward of such a key":  &forward[none]{Find: find[none]{Key: outside, N: 1}, Origin: self},
			"too many wanted":        &find[none]{Key: key, N: dht.MaxOwners + 1},
			"unknown role":           &find[none]{Key: key, N: 1, Role: 9},
			"forward without origin": &forward[none]{Find: good},
			"endless trail":          &forward[none]{Find: good, Origin: self, Trail: trail{Hops: hops}},
			"nobody on the trail":    &forward[none]{Find: good, Origin: self, Trail: trail{Hops: make([]move, 1)}},
			"nobody as owner":        &arrived{Owners: make([]dht.Peer, 1)},
		} {
			if _, err := dht.Call(ctx, s.hosts[0].driver.env, s.hosts[1].Peer(), m); !errors.Is(err, dht.ErrMalformed) {
				t.Errorf("%s: %v", text, err)
			}
		}
	})
	if _, err := s.hosts[0].lookup(t, outside.Lo(), 1); !errors.Is(err, dht.ErrMalformed) || !strings.Contains(err.Error(), "16 bits") {
		t.Errorf("an own lookup outside the space: %v", err)
	}
	for text, m := range map[string]*found[none]{
		"more steps than wanted":  {Steps: make([]Step[none], 3)},
		"more owners than wanted": {Owners: s.peers(0, 1, 2, 1)}, // and the one that answers
		"nobody":                  {Owners: make([]dht.Peer, 1)},
	} {
		if err := m.validate(2); !errors.Is(err, dht.ErrMalformed) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestStyles(t *testing.T) {
	for _, want := range []Style{Iterative, Recursive} {
		if got, err := ParseStyle(want.String()); err != nil || got != want {
			t.Errorf("%s was read as %s, %v", want, got, err)
		}
	}
	if _, err := ParseStyle("both"); err == nil {
		t.Error("the style both was read")
	}
}

// A node that names itself among the owners when it is asked as a step has spoken:
// it is not asked once more.
func TestWhoNamesItselfIsNotAskedAgain(t *testing.T) {
	s := newScript(t, 3, Config{})
	s.say[0].steps = []dht.Peer{s.hosts[1].Peer()}
	s.say[1].owners = []dht.Peer{s.hosts[1].Peer(), s.hosts[2].Peer()}
	r, err := s.hosts[0].lookup(t, 5, 2)
	if err != nil || !slices.Equal(ids(r.Owners), []uint64{10, 20}) {
		t.Fatalf("found %v, %v", ids(r.Owners), err)
	}
	if s.hosts[1].found != 1 || r.Messages != 2 || r.Rounds != 2 {
		t.Errorf("node 10 was asked %d times; %d messages in %d rounds", s.hosts[1].found, r.Messages, r.Rounds)
	}
}
