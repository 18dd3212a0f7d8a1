package ring

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/net/simnet"
)

const (
	ms = time.Millisecond
	// settle is enough for any one operation and its time-outs.
	settle = 20 * time.Second
)

// member is a node that runs a Ring and nothing else. Rounds are run by the tests.
type member struct {
	*simnet.Node
	*Ring
	world *world
	lost  []dht.Peer
	table []dht.Peer
	twin  dht.Peer // whom Locate names first, if not zero
}

// world is a ring of 8 bits whose lookups are answered by full knowledge.
type world struct {
	t       *testing.T
	net     *simnet.Net
	cfg     *Config
	members map[uint64]*member
	delay   func(from, to uint64) time.Duration // extra
}

func newWorld(t *testing.T, successors int) *world {
	cfg, err := Config{Space: dht.Space{Bits: 8}, Successors: successors}.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, cfg: cfg, members: map[uint64]*member{}}
	latency := simnet.LatencyFunc(func(from, to *simnet.Node) time.Duration {
		d := 10 * ms
		if w.delay != nil {
			d += w.delay(from.Peer().ID.Lo(), to.Peer().ID.Lo())
		}
		return d
	})
	w.net = simnet.New(simnet.Config{Seed: 1, Space: cfg.Space, Latency: latency, CheckCodec: true})
	t.Cleanup(w.net.Close)
	return w
}

// perfect makes a ring of these nodes, with every pointer right.
func perfect(t *testing.T, successors int, ids ...uint64) *world {
	w := newWorld(t, successors)
	var sorted []dht.Peer
	for _, id := range ids {
		sorted = append(sorted, w.start(id).Peer())
	}
	for _, m := range w.members {
		m.Prefill(sorted)
	}
	return w
}

func (w *world) start(id uint64) *member {
	m := &member{world: w}
	m.Node = w.net.AddID(dht.NewID(0, id), m.setup)
	w.members[id] = m
	return m
}

func (m *member) setup(env dht.Env) []dht.Service {
	m.Ring = New(env, m, m.world.cfg)
	return []dht.Service{m}
}

func (m *member) Peers() iter.Seq[dht.Peer] {
	return func(yield func(dht.Peer) bool) { m.Ring.Peers(yield) }
}

func (m *member) Handle(from dht.Peer, req dht.Message, r dht.Reply) {
	if !m.Member() {
		r.Send(nil, dht.ErrRejected)
	} else if !m.Ring.Handle(from, req, r) {
		r.Send(nil, dht.ErrUnknownMessage)
	}
}

func (m *member) Lost(p dht.Peer) { m.lost = append(m.lost, p) }

func (m *member) Table() []dht.Peer { return m.table }

// Locate answers from full knowledge of the members that via can reach, in the
// incarnation in which they were last members.
func (m *member) Locate(_ context.Context, via dht.Peer, key dht.ID, n int) ([]dht.Peer, error) {
	if seed := m.world.members[via.ID.Lo()]; !seed.Alive() || !seed.Member() {
		return nil, dht.ErrNoRoute
	}
	var owners []dht.Peer
	for _, o := range m.world.members {
		if o.Alive() && o.Member() {
			owners = append(owners, o.Peer())
		}
	}
	s := m.world.cfg.Space
	slices.SortFunc(owners, func(a, b dht.Peer) int { return s.Sub(a.ID, key).Cmp(s.Sub(b.ID, key)) })
	if !m.twin.IsZero() {
		owners = append([]dht.Peer{m.twin}, owners...)
	}
	return owners[:min(n, len(owners))], nil
}

// do runs f at node id to its end.
func (w *world) do(id uint64, f func(context.Context)) {
	w.t.Helper()
	if !w.members[id].Await("test", time.Minute, f) {
		w.t.Fatalf("an activity of %d did not end", id)
	}
}

// rounds lets every node do k rounds of upkeep, one node after the other.
func (w *world) rounds(k int) {
	w.t.Helper()
	for range k {
		for id := range uint64(256) {
			if m := w.members[id]; m != nil && m.Alive() && m.Member() {
				w.do(id, m.Round)
			}
		}
		w.net.RunFor(time.Second)
	}
}

// expect compares a node's pointers; 0 is nobody.
func (w *world) expect(id, pred uint64, succ ...uint64) {
	w.t.Helper()
	m := w.members[id]
	if got := m.Predecessor().ID.Lo(); got != pred {
		w.t.Errorf("%d has the predecessor %d, want %d", id, got, pred)
	}
	if got := list(m.Successors()); got != fmt.Sprint(succ) {
		w.t.Errorf("%d has the successors %s, want %d", id, got, succ)
	}
}

func list(peers []dht.Peer) string {
	ids := make([]uint64, len(peers))
	for i, p := range peers {
		ids[i] = p.ID.Lo()
	}
	return fmt.Sprint(ids)
}

func (w *world) join(id uint64, via ...uint64) error {
	w.t.Helper()
	var seeds []dht.Peer
	for _, v := range via {
		seeds = append(seeds, w.members[v].Peer())
	}
	var err error
	w.do(id, func(ctx context.Context) { err = w.members[id].Join(ctx, seeds) })
	return err
}

func TestJoinTakesPredecessorsListAndIsFound(t *testing.T) {
	w := perfect(t, 3, 10, 20, 30, 40, 50)
	w.start(25)
	if err := w.join(25, 50); err != nil {
		t.Fatal(err)
	}
	w.expect(25, 20, 30, 40, 50)
	w.expect(30, 25, 40, 50, 10)
	w.expect(20, 10, 30, 40, 50) // does not know yet
	w.do(20, w.members[20].Stabilize)
	w.expect(20, 10, 25, 30, 40)
}

func TestJoinViaNodeAlone(t *testing.T) {
	w := perfect(t, 3, 10)
	w.start(20)
	if err := w.join(20, 10); err != nil {
		t.Fatal(err)
	}
	w.net.RunFor(settle)
	w.expect(20, 10, 10)
	w.expect(10, 20, 20)
	w.start(15)
	if err := w.join(15, 20); err != nil {
		t.Fatal(err)
	}
	w.rounds(2)
	w.expect(10, 20, 15, 20)
	w.expect(15, 10, 20, 10)
	w.expect(20, 15, 10, 15)
}

func TestJoinFails(t *testing.T) {
	w := perfect(t, 3, 10, 20)
	w.start(30)
	if err := w.join(30, 30); !errors.Is(err, dht.ErrNoRoute) {
		t.Errorf("joining through oneself: %v", err)
	}
	w.members[10].Crash()
	if err := w.join(30, 10); !errors.Is(err, dht.ErrNoRoute) || w.members[30].Member() {
		t.Errorf("joining through a dead seed: %v", err)
	}
	w.members[30].twin = dht.Peer{ID: dht.NewID(0, 30), Ref: 77}
	if err := w.join(30, 20); !errors.Is(err, dht.ErrTaken) || !strings.Contains(err.Error(), "identifier 1e") {
		t.Errorf("joining with an identifier that is taken: %v", err)
	}
	w.members[30].twin = dht.Peer{}
	if err := w.join(30, 10, 20); err != nil {
		t.Errorf("the second seed lives, but: %v", err)
	}
	w.net.RunFor(settle)
	w.rounds(2)
	w.expect(30, 20, 20)
}

// A node that comes back under its identifier while the others still hold its old
// run for live must not find itself.
func TestRestartDoesNotFindItself(t *testing.T) {
	w := perfect(t, 2, 10, 20, 30, 40)
	m := w.members[20]
	m.twin = m.Peer() // what others still believe in
	m.Crash()
	m.Restart(m.setup)
	if err := w.join(20, 40); err != nil {
		t.Fatal(err)
	}
	if s := m.Successor(); s != w.members[30].Peer() {
		t.Errorf("the successor after the restart is %v", s)
	}
	w.rounds(3)
	for id, succ := range map[uint64]uint64{10: 20, 20: 30, 30: 40, 40: 10} {
		if got := w.members[id].Successor(); got != w.members[succ].Peer() {
			t.Errorf("%d has the successor %v#%d, want %v#%d", id, got, got.Inc, w.members[succ].Peer(), w.members[succ].Peer().Inc)
		}
	}
	if p := w.members[30].Predecessor(); p != m.Peer() || p.Inc != 2 {
		t.Errorf("30 has the predecessor %v#%d, want the second run of 20", p, p.Inc)
	}
}

// A reply that was asked for under another list is not applied: here the successor
// answers, leaves, and its good-bye overtakes the answer.
func TestStaleReplyIsNotApplied(t *testing.T) {
	w := perfect(t, 3, 10, 20, 30, 40, 50)
	w.delay = func(from, to uint64) time.Duration {
		if from == 20 && to == 10 {
			return 150 * ms
		}
		return 0
	}
	done := false
	w.members[10].Do("stabilize", func(ctx context.Context) {
		w.members[10].Stabilize(ctx)
		done = true
	})
	w.net.RunFor(15 * ms) // 20 has replied
	w.delay = nil
	w.members[20].Do("leave", func(ctx context.Context) {
		if err := w.members[20].Leave(ctx); err != nil {
			t.Errorf("leave: %v", err)
		}
	})
	w.net.RunFor(15 * ms)
	w.expect(10, 50, 30, 40, 50)
	if !w.net.RunUntil(func() bool { return done }, settle) {
		t.Fatal("stabilize did not end")
	}
	w.expect(10, 50, 30, 40, 50)
}

// A successor that dies right after it was adopted takes its neighbour with it: the
// list before it is the way back. Without it node 10 would be alone for a while.
func TestFallbackUntilNewSuccessorHasAnswered(t *testing.T) {
	w := perfect(t, 2, 10, 20, 30, 40, 50)
	w.start(15)
	if err := w.join(15, 50); err != nil {
		t.Fatal(err)
	}
	w.do(10, w.members[10].Stabilize)
	w.expect(10, 50, 15, 20)
	w.members[15].Crash()
	w.members[20].Crash()
	done := false
	w.members[10].Do("stabilize", func(ctx context.Context) {
		w.members[10].Stabilize(ctx)
		done = true
	})
	w.net.RunUntil(func() bool {
		if len(w.members[10].Successors()) == 0 {
			t.Fatal("10 has lost the ring, though 30 of its old list lives")
		}
		return done
	}, settle)
	w.expect(10, 50, 30, 40)
}

// Once the new successor has answered again, the old list is forgotten.
func TestFallbackIsDroppedAfterSecondAnswer(t *testing.T) {
	w := perfect(t, 2, 10, 20, 30, 40)
	w.start(15)
	if err := w.join(15, 40); err != nil {
		t.Fatal(err)
	}
	w.do(10, w.members[10].Stabilize)
	if w.members[10].fallback == nil {
		t.Error("no fallback after a better successor was adopted")
	}
	w.do(10, w.members[10].Stabilize)
	if w.members[10].fallback != nil {
		t.Error("the fallback is kept although the successor has answered again")
	}
}

// The list that goes out in a message is never edited afterwards.
func TestListsAreReplacedNotEdited(t *testing.T) {
	w := perfect(t, 3, 10, 20, 30, 40, 50, 60)
	w.members[40].Crash()
	for range 3 {
		for id, m := range w.members {
			if !m.Alive() {
				continue
			}
			before := m.Successors()
			copied := slices.Clone(before)
			w.do(id, m.Stabilize)
			if !slices.Equal(before, copied) {
				t.Fatalf("%d edited its list %s in place to %s", id, list(copied), list(before))
			}
		}
	}
	w.expect(20, 10, 30, 50, 60)
}

// One lost packet is no death, even when it hits the successor.
func TestLostPacketIsNoDeath(t *testing.T) {
	w := perfect(t, 2, 10, 20, 30)
	lost := 0
	w.net.SetLink(func(from, to *simnet.Node) bool {
		if from == w.members[10].Node && to == w.members[20].Node && lost < w.cfg.Tries-1 {
			lost++
			return false
		}
		return true
	})
	w.do(10, w.members[10].Stabilize)
	w.expect(10, 30, 20, 30)
	if lost != 2 || len(w.members[10].lost) > 0 {
		t.Errorf("%d packets lost, and %v taken for dead", lost, w.members[10].lost)
	}
}

// A crash is repaired in one round, all time-outs included, as the store's own
// repair counts on.
func TestCrashIsRepairedWithinSeconds(t *testing.T) {
	w := perfect(t, 3, 10, 20, 30, 40, 50)
	w.rounds(2) // round trips are known
	w.members[20].Crash()
	began := w.net.Now()
	w.do(10, w.members[10].Stabilize)
	w.expect(10, 50, 30, 40, 50)
	if took := w.net.Now() - began; took > 3*time.Second {
		t.Errorf("the repair took %v", took)
	}
	if got := w.members[10].Ring.lost; len(got) != 1 || got[0].ID.Lo() != 20 {
		t.Errorf("lost peers %v, want 20", got)
	}
}

func TestLeaveTellsBothNeighbours(t *testing.T) {
	w := perfect(t, 3, 10, 20, 30, 40, 50)
	w.do(20, func(ctx context.Context) {
		if err := w.members[20].Leave(ctx); err != nil {
			t.Error(err)
		}
	})
	w.net.RunFor(100 * ms)
	w.expect(10, 50, 30, 40, 50)
	w.expect(30, 10, 40, 50, 10)
	if got := w.net.Stats().Timeouts; got > 0 {
		t.Errorf("%d time-outs for a good-bye", got)
	}
}

// A newcomer looks past a predecessor that its successor believes in, to the one that
// joined a moment ago.
func TestJoinFindsTheClosestPredecessor(t *testing.T) {
	w := perfect(t, 3, 10, 20, 25, 30, 40)
	w.members[30].pred = w.members[20].Peer() // has not heard of 25
	w.start(27)
	if err := w.join(27, 10); err != nil {
		t.Fatal(err)
	}
	w.expect(27, 25, 30, 40, 10)
}

// Near is sure as far as the list reaches. What is asked for beyond is filled up with the
// best that are known.
func TestNearIsFilledUp(t *testing.T) {
	w := perfect(t, 3, 10, 20, 30, 40, 50, 60, 70, 80)
	more := []dht.Peer{w.members[30].Peer(), w.members[60].Peer()}
	for _, c := range []struct {
		key  uint64
		n    int
		want string
		sure bool
	}{
		{25, 2, "[30 40]", true},
		{25, 4, "[30 40 60 80]", false},
		{25, 8, "[30 40 60 80 10 20]", false},
		{5, 5, "[10 20 30 40 60]", false},
		{45, 2, "[60 80]", false},
	} {
		peers, sure := w.members[10].Near(dht.NewID(0, c.key), c.n, more)
		if list(peers) != c.want || sure != c.sure {
			t.Errorf("%d near %d are %s, sure %v; want %s", c.n, c.key, list(peers), sure, c.want)
		}
	}
}

// What somebody claims of a peer's incarnation does not outlive the peer's answer.
func TestForgedIncarnationIsCorrected(t *testing.T) {
	w := perfect(t, 2, 10, 20, 30)
	forged := w.members[20].Peer()
	forged.Inc = 999
	w.members[10].setSuccessors([]dht.Peer{forged, w.members[30].Peer()})
	w.do(10, w.members[10].Stabilize)
	if s := w.members[10].Successor(); s != w.members[20].Peer() {
		t.Errorf("the successor is %v#%d still", s, s.Inc)
	}
}

// A node that has left may begin anew; nothing of the old ring is with it.
func TestFoundsAfterLeaving(t *testing.T) {
	w := perfect(t, 3, 10, 20, 30)
	w.do(20, func(ctx context.Context) {
		if err := w.members[20].Leave(ctx); err != nil {
			t.Error(err)
		}
		if err := w.members[20].Join(ctx, nil); err != nil {
			t.Error(err)
		}
	})
	w.expect(20, 0)
	if id := dht.NewID(0, 25); !w.members[20].Owns(id) || !w.members[20].Sure(id, 1) {
		t.Error("a node alone does not own everything")
	}
}

func TestMalformedListsAreRefused(t *testing.T) {
	s := dht.Space{Bits: 8}
	p := func(id uint64) dht.Peer { return dht.Peer{ID: dht.NewID(0, id), Ref: uint32(id) + 1} }
	for text, list := range map[string][]dht.Peer{
		"out of order": {p(20), p(40), p(30)},
		"repeated":     {p(20), p(20)},
		"the owner":    {p(20), p(10)},
		"nobody":       {p(20), {}},
		"too long":     make([]dht.Peer, dht.MaxOwners+1),
	} {
		if err := validList(s, p(10), list); !errors.Is(err, dht.ErrMalformed) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := validList(s, p(200), []dht.Peer{p(210), p(255), p(0), p(199)}); err != nil {
		t.Errorf("a list round the zero point: %v", err)
	}
}

func TestConfigRefuses(t *testing.T) {
	for _, c := range []Config{{Successors: -1}, {Successors: 33}, {Stabilize: time.Millisecond}, {Tries: 11}, {HealEvery: -2}, {Space: dht.Space{Bits: 3}}} {
		if _, err := c.Resolve(); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
	c, err := Config{}.Resolve()
	if err != nil || c.Successors != 8 || c.Stabilize != time.Second {
		t.Errorf("the defaults are %+v, %v", c, err)
	}
}
