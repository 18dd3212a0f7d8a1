package kademlia

import (
	"context"
	"slices"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/dht/dhttest"
	"dyschord/net/simnet"
)

// world is a cluster whose nodes' tables tests look into, and write.
type world struct {
	*dhttest.Cluster
	t *testing.T
}

// space of the worlds: identifiers are 8 bits.
var space = dht.Space{Bits: 8}

// newWorld is an empty world, 10 ms each way.
func newWorld(t *testing.T, cfg Config) *world {
	cfg.Space = space
	factory, err := Factory(cfg)
	if err != nil {
		t.Fatal(err)
	}
	net := simnet.Config{Seed: 1, Space: space, Latency: simnet.Constant(10 * time.Millisecond), CheckCodec: true}
	return &world{dhttest.NewCluster(t, net, factory, dht.Closest), t}
}

// perfect is a world of these nodes with the tables of full knowledge.
func perfect(t *testing.T, cfg Config, ids ...uint64) *world {
	w := newWorld(t, cfg)
	for _, id := range ids {
		w.PrefillID(id)
	}
	w.Perfect()
	return w
}

func (w *world) member(id uint64) *dhttest.Member {
	for _, m := range w.Members {
		if m.Peer().ID.Lo() == id {
			return m
		}
	}
	w.t.Fatalf("there is no node %x", id)
	return nil
}

func (w *world) node(id uint64) *Node { return w.member(id).Overlay.(*Node) }

func (w *world) peer(id uint64) dht.Peer { return w.member(id).Peer() }

// holds says whether a has b among siblings and buckets, as b is now.
func (w *world) holds(a, b uint64) bool {
	held, ok := w.node(a).table.find(w.peer(b))
	return ok && held == w.peer(b)
}

// call lets a send a request to b.
func (w *world) call(a, b uint64, req dht.Message) dht.Message {
	w.t.Helper()
	var reply dht.Message
	w.member(a).Await("call", time.Minute, func(ctx context.Context) {
		var err error
		if reply, err = dht.Call(ctx, w.member(a).Env(), w.peer(b), req); err != nil {
			w.t.Errorf("%x asks %x: %v", a, b, err)
		}
	})
	return reply
}

// pings counts those that were sent, and those that have arrived.
func (w *world) pings() (sent, arrived uint64) {
	for _, k := range w.Net.Stats().Kinds {
		if k.Code == codePing {
			return k.Sent, k.Delivered
		}
	}
	return 0, 0
}

// slow keeps the upkeep out of the way.
var slow = Config{Interval: time.Hour}

// Who asks is called back and enters by its answer. One that cannot be reached does not.
func TestAskerIsCalledBack(t *testing.T) {
	w := perfect(t, slow, 0x10, 0x20)
	w.PrefillID(0x30)
	w.node(0x30).found() // a member, of an overlay of its own
	w.Net.SetLink(func(from, _ *simnet.Node) bool { return from != w.member(0x20).Node })
	w.member(0x30).Do("ask", func(ctx context.Context) {
		for _, id := range []uint64{0x10, 0x20} {
			_, _ = dht.Call(ctx, w.member(0x30).Env(), w.peer(id), &ping{})
		}
	})
	w.Net.RunFor(10 * time.Second)
	if !w.holds(0x10, 0x30) {
		t.Error("one that asks and answers is not in the table")
	}
	if w.holds(0x20, 0x30) {
		t.Error("one that asks and cannot be reached is in the table")
	}
}

// What others name is a hint until it has answered. Who names the dead hears of it, and
// they are not pinged again in each round.
func TestHearsayIsNotBelieved(t *testing.T) {
	w := perfect(t, Config{Siblings: 2}, 0x10, 0x20, 0x30, 0x31, 0x32)
	w.node(0x10).table = newTable(w.node(0x10).cfg, w.peer(0x10))
	w.node(0x10).table.enter(w.peer(0x30), 0)
	w.Crash(w.member(0x31))
	dead := func() bool { return w.holds(0x10, 0x31) }
	if w.Run(10*time.Second, dead) {
		t.Error("a dead peer that was named is in the table")
	}
	if !w.holds(0x10, 0x20) || !w.holds(0x10, 0x30) || !w.holds(0x10, 0x32) {
		t.Errorf("of those named, the table has %v", w.node(0x10).Siblings())
	}
	if w.holds(0x30, 0x31) || w.holds(0x32, 0x31) {
		t.Error("who named the dead peer still holds it")
	}
}

// Who does not answer when it was named is not pinged again at once when it is named
// again, and who names it is told; but if it comes back, it is heard.
func TestTheDeadAreNotBelievedAgain(t *testing.T) {
	w := perfect(t, Config{Interval: time.Minute}, 0x10, 0x20)
	dead := w.PrefillID(0x30).Peer()
	w.Crash(w.member(0x30))
	n := w.node(0x10)
	named := func() int {
		said := &nearby{Peers: []dht.Peer{dead}}
		list := n.learn(dht.Result{To: w.peer(0x20), From: w.peer(0x20), Req: n.question(), Msg: said})
		w.member(0x10).Do("meet", func(ctx context.Context) { n.meet(ctx, list) })
		w.Net.RunFor(10 * time.Second)
		return len(list)
	}
	if first, second := named(), named(); first != 1 || second != 0 {
		t.Errorf("a dead peer was pinged %d and %d times when it was named twice", first, second)
	}
	if m := n.question(); !slices.Equal(m.Lost, []dht.Peer{dead}) || n.agreed == 0 {
		t.Errorf("who named it is told of %v; %d siblings agree", m.Lost, n.agreed)
	}
	dead.Inc++
	if again := named(); again != 1 {
		t.Errorf("the next incarnation was pinged %d times", again)
	}
	w.Net.RunFor((buriedFor + 1) * time.Minute)
	if dead.Inc--; n.buried(dead) {
		t.Error("a dead peer is buried for ever")
	}
}

// At most so many strangers are pinged at once, however many are named.
func TestCallBacksAreBounded(t *testing.T) {
	w := perfect(t, slow, 0x10)
	n := w.node(0x10)
	var strangers []dht.Peer
	for id := range uint64(2 * maxMeeting) {
		strangers = append(strangers, w.Net.AddID(dht.NewID(0, 0x20+id), func(dht.Env) []dht.Service { return nil }).Peer())
	}
	for _, p := range strangers {
		n.heard(p)
	}
	if len(n.meeting) != maxMeeting {
		t.Errorf("%d strangers are called back at once", len(n.meeting))
	}
	w.Net.RunFor(10 * time.Second)
	if n.meeting != nil || len(n.Siblings()) > 0 {
		t.Errorf("%d strangers that do not answer are called back for ever, %d are siblings", len(n.meeting), len(n.Siblings()))
	}
}

func TestLostPacketIsNoDeath(t *testing.T) {
	w := perfect(t, slow, 0x10, 0x20, 0x30)
	lost, most := 0, w.node(0x10).cfg.Tries-1
	w.Net.SetLink(func(from, to *simnet.Node) bool {
		if from == w.member(0x10).Node && to == w.member(0x20).Node && lost < most {
			lost++
			return false
		}
		return true
	})
	w.node(0x10).suspect(w.peer(0x20), w.node(0x10).cfg.Tries)
	w.Net.RunFor(20 * time.Second)
	if lost != most || !w.holds(0x10, 0x20) {
		t.Errorf("%d packets lost; the table holds the peer: %v", lost, w.holds(0x10, 0x20))
	}
}

// Pings that fail at once, since a connection was lost, say no more than one.
func TestLostConnectionIsNoDeath(t *testing.T) {
	w := perfect(t, slow, 0x10, 0x20, 0x30)
	w.Net.CutFor(w.member(0x10).Node, w.member(0x20).Node, 1200*time.Millisecond)
	w.node(0x10).suspect(w.peer(0x20), 3)
	w.Net.RunFor(10 * time.Second)
	if !w.holds(0x10, 0x20) {
		t.Error("a peer whose connection was lost for a second was taken for dead")
	}
	w.Net.CutFor(w.member(0x10).Node, w.member(0x20).Node, time.Minute)
	w.node(0x10).suspect(w.peer(0x20), 3)
	w.Net.RunFor(10 * time.Second)
	if w.holds(0x10, 0x20) {
		t.Error("a peer that cannot be reached for many seconds was not taken for dead")
	}
}

// The place of a dead peer goes to the newest of the replacements that answers.
func TestDeathGivesItsPlaceToAReplacement(t *testing.T) {
	w := perfect(t, Config{Interval: time.Hour, K: 2, Siblings: 1}, 0x00, 0x01, 0x80, 0x81, 0x82, 0x83)
	n := w.node(0x00)
	n.table.set(0, bucket{w.peer(0x80), w.peer(0x81)})
	n.table.shelve(w.peer(0x82))
	n.table.shelve(w.peer(0x83))
	w.Crash(w.member(0x80), w.member(0x83))
	n.suspect(w.peer(0x80), 3)
	w.Net.RunFor(20 * time.Second)
	if w.holds(0, 0x80) || !w.holds(0, 0x81) || !w.holds(0, 0x82) || w.holds(0, 0x83) {
		t.Errorf("the bucket is %v", n.Bucket(0))
	}
}

// A full bucket keeps those that live. One that asks waits in the replacement cache.
func TestLiveEntriesAreKept(t *testing.T) {
	w := perfect(t, Config{K: 2, Siblings: 1}, 0x00, 0x01, 0x80, 0x81, 0x82)
	n := w.node(0x00)
	n.table.set(0, bucket{w.peer(0x80), w.peer(0x81)})
	for range 3 {
		w.call(0x82, 0x00, &ping{})
		w.Net.RunFor(5 * time.Second)
	}
	if w.holds(0, 0x82) || !w.holds(0, 0x80) || !w.holds(0, 0x81) {
		t.Errorf("the bucket is %v", n.Bucket(0))
	}
	if !slices.Contains(n.table.spare, w.peer(0x82)) {
		t.Errorf("the replacement cache is %v", n.table.spare)
	}
}

// A suspicion makes a node ping what it holds, and nobody else.
func TestSuspicionIsProbed(t *testing.T) {
	w := perfect(t, slow, 0x10, 0x20, 0x30)
	stranger := w.PrefillID(0x40).Peer()
	w.Crash(w.member(0x30))
	for _, p := range []dht.Peer{w.peer(0x20), w.peer(0x30), stranger} {
		(*router)(w.node(0x10)).Suspect(p)
	}
	w.Net.RunFor(20 * time.Second)
	if !w.holds(0x10, 0x20) || w.holds(0x10, 0x30) {
		t.Errorf("after a slander and a true suspicion the siblings are %v", w.node(0x10).Siblings())
	}
	if _, arrived := w.pings(); arrived != 1 {
		t.Errorf("%d pings have arrived, not 1", arrived)
	}
}

// A good-bye is believed at once, since its sender is authenticated; but not that of
// an earlier run.
func TestLeaveIsHeardAtOnce(t *testing.T) {
	w := perfect(t, slow, 0x10, 0x20, 0x30)
	early := w.peer(0x20)
	w.Crash(w.member(0x20))
	w.Restart(w.member(0x20), w.member(0x10))
	w.Run(10*time.Second, func() bool { return w.member(0x20).Joined })
	w.Net.RunFor(time.Second)
	w.node(0x10).Handle(early, &leave{}, &reply{})
	if !w.holds(0x10, 0x20) || !w.holds(0x30, 0x20) {
		t.Fatalf("the siblings are %v and %v", w.node(0x10).Siblings(), w.node(0x30).Siblings())
	}
	began := w.Net.Now()
	w.Leave(w.member(0x20))
	if w.Net.Now()-began > 30*time.Millisecond || w.holds(0x10, 0x20) || w.holds(0x30, 0x20) {
		t.Errorf("%v later the siblings are %v and %v", w.Net.Now()-began, w.node(0x10).Siblings(), w.node(0x30).Siblings())
	}
}

// reply takes the answer of a handler that a test calls itself.
type reply struct {
	msg dht.Message
	err error
}

func (r *reply) Send(m dht.Message, err error) { r.msg, r.err = m, err }

// An entry for an earlier incarnation goes when the next one answers.
func TestIncarnationIsReplaced(t *testing.T) {
	w := perfect(t, slow, 0x10, 0x20, 0x30)
	early := w.peer(0x20)
	w.Crash(w.member(0x20))
	w.Restart(w.member(0x20), w.member(0x30))
	w.Run(10*time.Second, func() bool { return w.member(0x20).Joined })
	w.Net.RunFor(time.Second)
	if now := w.node(0x10).Siblings(); slices.Contains(now, early) || !w.holds(0x10, 0x20) || w.peer(0x20).Inc != 2 {
		t.Errorf("the siblings are %v: incarnations %d", now, now[0].Inc)
	}
}

// Who answers but is no member is gone, without further tries; what one that breaks
// the rules says is not taken in.
func TestWhoRefusesIsGone(t *testing.T) {
	w := perfect(t, Config{}, 0x10, 0x20, 0x30)
	w.node(0x20).member = false
	w.Net.RunFor(4 * time.Second)
	if w.holds(0x10, 0x20) || w.holds(0x30, 0x20) {
		t.Error("one that is no member any more is still in a table")
	}
	n := w.node(0x10)
	bad := &nearby{Peers: []dht.Peer{{}}}
	n.learn(dht.Result{To: w.peer(0x30), From: w.peer(0x30), Req: n.question(), Msg: bad})
	if w.holds(0x10, 0x30) {
		t.Error("one that breaks the protocol is still in the table")
	}
}
