package lookup

import (
	"context"
	"errors"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/net/simnet"
)

// stuck is a script in which whoever forwards by way of node 1 meets dead nodes only,
// each of which costs HopTimeout at most.
func stuck(t *testing.T, cfg Config) *script {
	s := newScript(t, 20, cfg)
	s.say[0].steps = s.peers(1)
	for i := len(s.hosts) - 1; i > 1; i-- {
		s.say[1].steps = append(s.say[1].steps, s.hosts[i].Peer())
		s.hosts[i].Crash()
	}
	return s
}

// Nobody goes on with a recursive lookup whose origin has given it up.
func TestForwardingEndsWithTheLookup(t *testing.T) {
	s := stuck(t, Config{Style: Recursive, Timeout: 4500 * ms, Retries: 2}) // 1.5 s for each try
	s.say[0].steps = s.peers(19, 1)
	during := 0
	s.net.After(1200*ms, func() { during = s.hosts[1].driver.forwarding }) // a dead one has cost the first second
	s.hosts[0].Await("lookup", time.Minute, func(ctx context.Context) {
		_, err := s.hosts[0].driver.sendOff(ctx, newSearch(s.hosts[0].driver))
		if !errors.Is(err, dht.ErrTimeout) {
			t.Errorf("the error is %v", err)
		}
	})
	s.net.RunFor(10 * ms) // the hop to node 1
	if d := s.hosts[1].driver; d.forwarding != 0 || during != 1 {
		t.Errorf("%d lookups were forwarded, and %d are so still", during, d.forwarding)
	}
}

// One that comes when its time is over goes nowhere.
func TestForwardThatIsOverGoesNowhere(t *testing.T) {
	for _, row := range []struct {
		left uint32
		want int
	}{{0, 0}, {1000, 1}} {
		s := newScript(t, 3, Config{})
		s.say[1].steps = s.peers(2)
		went := 0
		s.net.SetLink(func(from, to *simnet.Node) bool {
			if from == s.hosts[1].Node && to == s.hosts[2].Node {
				went++
			}
			return true
		})
		s.hosts[0].Await("send", time.Minute, func(ctx context.Context) {
			m := &forward[none]{Find: find[none]{Key: dht.NewID(0, 255), N: 1}, Origin: s.hosts[0].Peer(), Left: row.left}
			if _, err := dht.Call(ctx, s.hosts[0].driver.env, s.hosts[1].Peer(), m); err != nil {
				t.Error(err)
			}
		})
		if s.net.RunFor(time.Second); went != row.want {
			t.Errorf("with %d ms left it went on %d times, want %d", row.left, went, row.want)
		}
	}
}

func newSearch(d *Driver[none]) *search[none] {
	s := &search[none]{}
	s.init(d, dht.NewID(0, 255), 1)
	s.origin(none{})
	return s
}

// Whatever the origin says, a node goes on for as long as it would wait itself; and it
// forwards so many at once, no more. Then the slots are free again.
func TestForwardingIsBounded(t *testing.T) {
	s := stuck(t, Config{HopTimeout: time.Minute, Timeout: 8 * time.Second})
	m := &forward[none]{Find: find[none]{Key: dht.NewID(0, 255), N: 1}, Origin: s.hosts[0].Peer(), Left: 1 << 31}
	taken := func() (n int) {
		s.hosts[0].Await("send", time.Minute, func(ctx context.Context) {
			for {
				_, err := dht.Call(ctx, s.hosts[0].driver.env, s.hosts[1].Peer(), m)
				if err != nil || n > 1000 {
					if !errors.Is(err, dht.ErrBusy) {
						t.Errorf("after %d: %v", n, err)
					}
					return
				}
				n++
			}
		})
		return n
	}
	for range 2 {
		if got := taken(); got != 256 {
			t.Errorf("%d forwards were taken, want 256", got)
		}
		s.net.RunFor(8 * time.Second)
		if d := s.hosts[1].driver; d.forwarding != 0 {
			t.Errorf("%d lookups are forwarded still", d.forwarding)
		}
	}
}

// Answers may name so many candidates, and a search remembers that many, no more.
func TestCandidatesAreBounded(t *testing.T) {
	s := newScript(t, 1, Config{})
	s.hosts[0].Await("search", time.Minute, func(context.Context) {
		search := newSearch(s.hosts[0].driver)
		defer search.calls.Close()
		for i := range uint32(4000) {
			p := dht.Peer{ID: dht.NewID(0, uint64(i+1)), Ref: 100 + i}
			search.absorb(0, &found[none]{Steps: []Step[none]{{Peer: p}}, Owners: []dht.Peer{p}})
		}
		if search.count != 1024 {
			t.Errorf("%d candidates are remembered, want 1024", search.count)
		}
	})
}
