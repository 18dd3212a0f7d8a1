package p2p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	mss "github.com/multiformats/go-multistream"

	"dyschord/dht"
	"dyschord/net/wire"
)

func TestResolveFindsTheIdentityAtAnAddress(t *testing.T) {
	a, b := newNode(t, Config{}), newNode(t, Config{})
	with := a.knows(b)
	bare, _, _ := strings.Cut(b.Addrs()[0], "/p2p/")
	without, err := a.Resolve(context.Background(), bare)
	if err != nil || !without.Same(with) || without.ID != with.ID {
		t.Fatalf("without identity %+v, with it %+v: %v", without, with, err)
	}
	if res := a.call(without, &echo{Num: 7}); res.Err != nil || res.From.Inc != 1 {
		t.Errorf("%+v", res)
	}
	if got := a.PeerIDOf(without); got != b.PeerID() {
		t.Errorf("peer id %s, want %s", got, b.PeerID())
	}
	if got := a.AddrsOf(without); len(got) != 1 || got[0] != b.Addrs()[0] {
		t.Errorf("addresses %v, want %v", got, b.Addrs())
	}
	if self, err := a.Resolve(context.Background(), a.Addrs()[0]); err != nil || self != a.Env().Self() {
		t.Errorf("own address: %+v, %v", self, err)
	}
}

func TestResolveSaysWhatIsWrong(t *testing.T) {
	a, b := newNode(t, Config{}), newNode(t, Config{})
	dead := silent(t)
	foreign, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	go func() {
		if conn, err := foreign.Accept(); err == nil {
			io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
			conn.Close()
		}
	}()
	for addr, want := range map[string]string{
		"127.0.0.1:4001":               "no multiaddr",
		"/p2p/" + b.PeerID():           "no address",
		dead:                           "refused",
		"/ip4/127.0.0.1/udp/1/quic-v1": "needs its /p2p/ID",
		tcpAddr(foreign):               "does not speak libp2p",
	} {
		if p, err := a.Resolve(context.Background(), addr); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %+v, %v; want an error with %q in one line", addr, p, err, want)
		}
	}
}

// Somebody takes the connection and never says a word.
func TestResolveSaysThatNobodyAnswers(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	a := newNode(t, Config{DialTimeout: 50 * time.Millisecond})
	_, err = a.Resolve(context.Background(), tcpAddr(mute))
	if err == nil || !strings.Contains(err.Error(), "said nothing within 50ms") || strings.Contains(err.Error(), "closed") {
		t.Errorf("a peer that is silent: %v", err)
	}
}

func tcpAddr(l net.Listener) string {
	return fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", l.Addr().(*net.TCPAddr).Port)
}

// silent returns an address where nobody listens.
func silent(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return tcpAddr(l)
}

func agreed(algorithm string) []wire.Setting {
	return []wire.Setting{{Name: "cluster", Value: "test"}, {Name: "algorithm", Value: algorithm}}
}

func TestAnotherAlgorithmIsRefusedNamingBoth(t *testing.T) {
	a, b := newNode(t, Config{Settings: agreed("chord")}), newNode(t, Config{Settings: agreed("kademlia")})
	res := a.call(a.knows(b), &echo{})
	mustBe(t, res.Err, dht.ErrRejected)
	const here, there = "algorithm: chord here, kademlia there", "algorithm: kademlia here, chord there"
	if !strings.HasSuffix(res.Err.Error(), here) {
		t.Errorf("the call ended with %q, want %q", res.Err, here)
	}
	if r := a.Refusals(); len(r) != 1 || r[0].Reason != here || r[0].PeerID != b.PeerID() {
		t.Errorf("refusals at the caller: %+v", r)
	}
	if r := b.Refusals(); len(r) != 1 || r[0].Reason != there || r[0].PeerID != a.PeerID() {
		t.Errorf("refusals at the called: %+v", r)
	}
	if res := a.call(a.knows(b), &echo{}); !strings.HasSuffix(res.Err.Error(), here) {
		t.Errorf("the next call, without a dial, ended with %q", res.Err)
	}
}

func TestOneIdentifierCannotBeTakenTwice(t *testing.T) {
	two, three := dht.NewID(0, 2), dht.NewID(0, 3)
	narrow := func(id *dht.ID) Config { return Config{Space: dht.Space{Bits: 4}, ID: id} }
	middle, first, second := newNode(t, narrow(&two)), newNode(t, narrow(&three)), newNode(t, narrow(&three))

	// The holder itself refuses.
	res := second.call(second.knows(first), &echo{})
	mustBe(t, res.Err, dht.ErrRejected)
	if want := "identifier 3 is taken by " + second.PeerID(); !strings.HasSuffix(res.Err.Error(), want) {
		t.Errorf("%v, want %q", res.Err, want)
	}

	// So does a node that is connected with the holder.
	if res := first.call(first.knows(middle), &echo{}); res.Err != nil {
		t.Fatal(res.Err)
	}
	res = second.call(second.knows(middle), &echo{})
	mustBe(t, res.Err, dht.ErrRejected)
	if want := "identifier 3 is taken by " + first.PeerID(); !strings.HasSuffix(res.Err.Error(), want) {
		t.Errorf("%v, want %q", res.Err, want)
	}
	if r := middle.Refusals(); len(r) != 1 || r[0].PeerID != second.PeerID() {
		t.Errorf("refusals in the middle: %+v", r)
	}
}

func TestChosenIdentifiersReachOthers(t *testing.T) {
	two, nine := dht.NewID(0, 2), dht.NewID(0, 9)
	narrow := func(id *dht.ID) Config { return Config{Space: dht.Space{Bits: 4, Hash: dht.Trivial}, ID: id} }
	a, b := newNode(t, narrow(&two)), newNode(t, narrow(&nine))
	if b.Env().Self().ID != nine {
		t.Errorf("self is %v", b.Env().Self())
	}
	if res := a.call(a.knows(b), &echo{}); res.Err != nil || res.From.ID != nine {
		t.Errorf("%+v", res)
	}
	if res := b.call(b.knows(a), &echo{}); res.Err != nil {
		t.Fatal(res.Err)
	}
	a.do(func(context.Context) {
		if a.lab.from[0].ID != nine {
			t.Errorf("asked by %v", a.lab.from[0])
		}
		again, err := a.Env().Intern(a.Env().Record(a.lab.from[0]))
		if err != nil || again.ID != nine {
			t.Errorf("the record gives %v, %v", again, err)
		}
	})
}

func TestAPeerIsFoundAgainAfterItsRestart(t *testing.T) {
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	a, first := newNode(t, Config{}), newNode(t, Config{Key: key, Inc: 1})
	peer := a.knows(first)
	if res := a.call(peer, &echo{}); res.Err != nil || res.From.Inc != 1 {
		t.Fatalf("%+v", res)
	}
	where, _, _ := strings.Cut(first.Addrs()[0], "/p2p/")
	first.Close()
	a.until("the connection is seen to be lost", func() bool { return a.link(peer.Ref).streams() == 0 })
	mustBe(t, a.call(peer, &echo{}).Err, dht.ErrUnreachable)

	second := newNode(t, Config{Key: key, Inc: 2, Listen: []string{where}})
	var res dht.Result
	a.do(func(ctx context.Context) {
		for {
			if res = callOnce(ctx, a, peer); res.Err == nil || ctx.Err() != nil {
				return
			}
			a.Env().Sleep(ctx, 10e6)
		}
	})
	if res.Err != nil || res.From.Inc != 2 || res.From.Ref != peer.Ref {
		t.Errorf("after the restart: %+v", res)
	}
	if second.PeerID() != first.PeerID() {
		t.Error("another identity under the same key")
	}
}

func callOnce(ctx context.Context, n *node, to dht.Peer) dht.Result {
	calls := n.Env().Calls()
	defer calls.Close()
	calls.Start(to, &echo{})
	res, err := calls.Next(ctx)
	if err != nil {
		res.Err = err
	}
	return res
}

func TestARestartedPeerEndsTheStreamToItsFormerRun(t *testing.T) {
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	// Both runs are alive, as when the first is paused or cut off.
	a, first, second := newNode(t, Config{}), newNode(t, Config{Key: key, Inc: 1}), newNode(t, Config{Key: key, Inc: 2})
	peer := a.knows(first)
	if res := a.call(peer, &echo{}); res.Err != nil || res.From.Inc != 1 {
		t.Fatalf("%+v", res)
	}
	if res := second.call(second.knows(a), &echo{}); res.Err != nil {
		t.Fatal(res.Err)
	}
	a.until("the old stream has ended", func() bool {
		l := a.link(peer.Ref)
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.out == nil
	})
	// The former run cannot come back.
	res := first.call(first.knows(a), &echo{})
	mustBe(t, res.Err, dht.ErrRejected)
	if !strings.Contains(res.Err.Error(), "incarnation 1") || !strings.Contains(res.Err.Error(), "incarnation 2 is running") {
		t.Errorf("%v", res.Err)
	}
}

func TestAForeignLibp2pNodeIsNamedAsSuch(t *testing.T) {
	foreign, addr, err := benchNet()
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.close()
	mux := mss.NewMultistreamMuxer[protocol.ID]()
	mux.AddHandler("/other/1", nil)
	foreign.swarm.SetStreamHandler(func(s network.Stream) {
		mux.Negotiate(s)
		s.Close()
	})
	a := newNode(t, Config{})
	p, err := a.Resolve(context.Background(), addr)
	if err != nil {
		t.Fatal(err)
	}
	res := a.call(p, &echo{})
	mustBe(t, res.Err, dht.ErrRejected)
	if !strings.Contains(res.Err.Error(), "does not speak "+wire.Protocol) {
		t.Error(res.Err)
	}
}

func TestQUIC(t *testing.T) {
	listen := Config{Listen: []string{"/ip4/127.0.0.1/udp/0/quic-v1"}}
	a, b := newNode(t, listen), newNode(t, listen)
	if res := a.call(a.knows(b), &value{Data: make([]byte, 300_000), Want: 5}); res.Err != nil || len(res.Msg.(*value).Data) != 5 {
		t.Errorf("%v", res.Err)
	}
}

func TestADeadConnectionIsReplaced(t *testing.T) {
	a, b := newNode(t, Config{DialTimeout: time.Second}), newNode(t, Config{})
	peer := a.knows(b)
	if res := a.call(peer, &echo{}); res.Err != nil {
		t.Fatal(res.Err)
	}
	// The connection takes new streams and says nothing on them any more.
	dead := a.net.swarm.ConnsToPeer(b.pid)[0].RemoteMultiaddr().String()
	local := a.net.swarm.ConnsToPeer(b.pid)[0].LocalMultiaddr().String()
	b.net.swarm.SetStreamHandler(func(s network.Stream) {
		if s.Conn().RemoteMultiaddr().String() != local {
			b.receiveStream(s)
		}
	})
	l := a.link(peer.Ref)
	l.mu.Lock()
	out := l.out
	l.mu.Unlock()
	out.end(errors.New("cut by the test"))
	if res := a.call(peer, &echo{}); res.Err != nil {
		t.Errorf("over the dead connection to %s: %v", dead, res.Err)
	}
}
