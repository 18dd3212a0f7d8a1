package p2p

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"dyschord/dht"
	"dyschord/net/wire"
)

func testPeerID(t testing.TB) peer.ID {
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	pid, err := peer.IDFromPrivateKey(key.priv)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func port(n int) []ma.Multiaddr {
	return []ma.Multiaddr{ma.StringCast(fmt.Sprintf("/ip4/192.0.2.1/tcp/%d", n))}
}

func addrsOf(t testing.TB, b *book, ref uint32) string {
	c, err := wire.DecodeContact(b.record(ref))
	if err != nil {
		t.Fatal(err)
	}
	addrs, err := parseRaw(c.Addrs)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(addrs)
}

func TestWhatAPeerSaysOfItselfOutweighsWhatOthersSay(t *testing.T) {
	b, pid := newBook(dht.Space{}, 10), testPeerID(t)
	p, err := b.note(pid, port(1), nil, false)
	if err != nil {
		t.Fatal(err)
	}
	b.note(pid, port(2), nil, false)
	if got, want := addrsOf(t, b, p.Ref), "[/ip4/192.0.2.1/tcp/2 /ip4/192.0.2.1/tcp/1]"; got != want {
		t.Errorf("two rumours: %s, want %s", got, want)
	}
	b.meet(pid, port(3), nil)
	b.note(pid, port(4), nil, false)
	if got, want := addrsOf(t, b, p.Ref), "[/ip4/192.0.2.1/tcp/3]"; got != want {
		t.Errorf("its word and a rumour: %s, want %s", got, want)
	}
	b.doubt(p.Ref)
	b.note(pid, port(5), nil, false)
	if got, want := addrsOf(t, b, p.Ref), "[/ip4/192.0.2.1/tcp/5 /ip4/192.0.2.1/tcp/3]"; got != want {
		t.Errorf("when it was not there: %s, want %s", got, want)
	}
	for i := range 20 {
		b.note(pid, port(100+i), nil, false)
	}
	if _, addrs, _ := b.where(p.Ref); len(addrs) != wire.MaxAddrs {
		t.Errorf("%d addresses of one peer are kept", len(addrs))
	}
}

func TestOneRefForEachIdentity(t *testing.T) {
	b, pid := newBook(dht.Space{}, 10), testPeerID(t)
	first, err := b.note(pid, port(1), nil, false)
	if err != nil {
		t.Fatal(err)
	}
	record := b.record(first.Ref)
	for range 2 {
		if again, err := b.hear(record); err != nil || again != first {
			t.Errorf("heard again as %+v, %v; want %+v", again, err, first)
		}
	}
	if want := (dht.Space{}).KeyID([]byte(pid)); first.ID != want {
		t.Errorf("identifier %s, want %s", first.ID, want)
	}
	other, err := b.note(testPeerID(t), port(1), nil, false)
	if err != nil || other.Same(first) || other.ID == first.ID {
		t.Errorf("another identity at the same address: %+v, %v", other, err)
	}
}

func TestIdentifiersAreComputedAndNotBelieved(t *testing.T) {
	nine := dht.NewID(0, 9)
	record, err := wire.Contact{Identity: []byte(testPeerID(t)), ID: &nine}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	_, err = newBook(dht.Space{}, 10).hear(record)
	mustBe(t, err, dht.ErrMalformed)
	if p, err := newBook(dht.Space{Bits: 4}, 10).hear(record); err != nil || p.ID != nine {
		t.Errorf("in a narrow space: %+v, %v", p, err)
	}
	huge := dht.NewID(0, 16)
	record, _ = wire.Contact{Identity: []byte(testPeerID(t)), ID: &huge}.Encode()
	_, err = newBook(dht.Space{Bits: 4}, 10).hear(record)
	mustBe(t, err, dht.ErrMalformed)
}

func TestPeersOnlyHeardOfGetHalfOfTheBook(t *testing.T) {
	b := newBook(dht.Space{}, 6)
	hear := func() (dht.Peer, error) { return b.note(testPeerID(t), port(1), nil, false) }
	var heard []dht.Peer
	for range 3 {
		p, err := hear()
		if err != nil {
			t.Fatal(err)
		}
		heard = append(heard, p)
	}
	// All were mentioned just now: whoever mentioned them may still look at them.
	_, err := hear()
	mustBe(t, err, dht.ErrBusy)
	old := time.Now().Add(-time.Hour).Unix()
	b.byRef[heard[0].Ref].used.Store(old)
	b.byRef[heard[0].Ref].held = true
	b.byRef[heard[1].Ref].used.Store(old)
	b.full = time.Time{} // as a second later
	if _, err := hear(); err != nil {
		t.Errorf("with one that nobody holds: %v", err)
	}
	if b.record(heard[0].Ref) == nil || b.record(heard[1].Ref) != nil || b.size() != 3 {
		t.Error("another than the unheld old one was forgotten")
	}
	for range 20 { // whoever comes itself finds room all the same
		if _, err := b.meet(testPeerID(t), port(1), nil); err != nil {
			t.Fatalf("a peer that is here: %v", err)
		}
	}
	if b.size() != 6 || b.record(heard[0].Ref) == nil {
		t.Errorf("%d contacts in a book for 6; held ones may be lost", b.size())
	}
}

func TestRumoursAreCounted(t *testing.T) {
	b, pid := newBook(dht.Space{}, 6), testPeerID(t)
	p, err := b.note(pid, port(1), nil, false)
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		do   func()
		want int
	}{
		{func() {}, 1},
		{func() { b.meet(pid, port(2), nil) }, 0},
		{func() { b.doubt(p.Ref) }, 1},
		{func() { b.doubt(p.Ref) }, 1},
		{func() { b.note(pid, port(3), nil, false) }, 1},
		{func() { b.sweep(nil, time.Now().Add(time.Hour)) }, 0},
	} {
		if step.do(); b.rumours != step.want {
			t.Errorf("step %d: %d rumours, want %d", i, b.rumours, step.want)
		}
	}
}

func TestPeersNobodyHoldsAreForgotten(t *testing.T) {
	a, b, c := newNode(t, Config{}), newNode(t, Config{}), newNode(t, Config{})
	held, connected := a.knows(b), a.knows(c)
	loose, err := a.book.note(testPeerID(t), port(1), nil, false)
	if err != nil {
		t.Fatal(err)
	}
	if res := a.call(connected, &echo{}); res.Err != nil {
		t.Fatal(res.Err)
	}
	a.do(func(context.Context) { a.lab.holds = []dht.Peer{held} })
	a.forget(time.Now().Add(9 * time.Minute))
	if a.Stats().Contacts != 4 {
		t.Errorf("%d contacts after nine minutes, want all", a.Stats().Contacts)
	}
	a.forget(time.Now().Add(time.Hour))
	a.do(func(context.Context) {
		for name, want := range map[string]bool{"self": true, "held": true, "connected": true, "loose": false} {
			p := map[string]dht.Peer{"self": a.self, "held": held, "connected": connected, "loose": loose}[name]
			if got := a.Env().Record(p) != nil; got != want {
				t.Errorf("%s is known: %v, want %v", name, got, want)
			}
		}
	})
	mustBe(t, a.call(loose, &echo{}).Err, dht.ErrUnreachable)
	a.do(func(context.Context) { a.lab.holds = nil })
	a.net.swarm.ClosePeer(c.pid)
	a.until("the stream has ended", func() bool { return a.link(connected.Ref).streams() == 0 })
	a.forget(time.Now().Add(time.Hour))
	if got := len(a.links()); got != 0 || a.Stats().Contacts != 1 {
		t.Errorf("%d links and %d contacts are left", got, a.Stats().Contacts)
	}
	if again := a.knows(b); again.Ref <= loose.Ref {
		t.Errorf("a Ref was reused: %+v", again)
	}
}

func TestAForgottenPeerThatCallsIsWelcome(t *testing.T) {
	a, b := newNode(t, Config{}), newNode(t, Config{})
	if res := a.call(a.knows(b), &echo{}); res.Err != nil {
		t.Fatal(res.Err)
	}
	a.net.swarm.ClosePeer(b.pid)
	b.until("the stream has ended", func() bool { return a.Stats().Streams+b.Stats().Streams == 0 })
	b.forget(time.Now().Add(time.Hour))
	if res := a.call(a.knows(b), &echo{}); res.Err != nil {
		t.Error(res.Err)
	}
}
