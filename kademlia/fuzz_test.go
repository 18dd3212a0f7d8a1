package kademlia

import (
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/dht/dhttest"
	"dyschord/net/simnet"
	"dyschord/net/wire"
)

// FuzzMessages lets a peer ask and answer anything that the codec lets through. Nothing
// panics, every request is answered once, and the table stays in order.
func FuzzMessages(f *testing.F) {
	codec := wire.NewCodec(kinds())
	peers := []dht.Peer{{Ref: 2}, {Ref: 3, Inc: 9}, {}}
	for _, m := range []dht.Message{
		&ping{}, &pong{}, &leave{},
		&near{Target: dht.NewID(1, 2), N: 20, Salt: 7, Known: []byte{1, 2, 3, 4}, Empty: dht.NewID(0, 5), Lost: peers},
		&near{N: 255, Known: make([]byte, 99)},
		&nearby{Peers: peers, Lost: peers}, &nearby{Peers: make([]dht.Peer, maxNearby+1)},
	} {
		body, err := codec.Append(nil, m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(m.Code(), body)
	}
	factory, err := Factory(Config{K: 3, Siblings: 3})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, code uint16, body []byte) {
		m, err := codec.Decode(code, body)
		if err != nil {
			return
		}
		c := dhttest.NewCluster(t, simnet.Config{Seed: 1}, factory, dht.Closest)
		c.Prefill(12)
		m.EachPeer(func(p *dht.Peer) { *p = c.Members[p.Ref%12].Peer() })
		n, from := c.Members[0].Overlay.(*Node), c.Members[1].Peer()
		r := &reply{}
		n.Handle(from, m, r)
		if (r.msg == nil) == (r.err == nil) {
			t.Fatalf("%T was answered with %T and %v", m, r.msg, r.err)
		}
		n.learn(dht.Result{To: from, From: from, Req: n.question(), Msg: m})
		c.Net.RunFor(3 * time.Second)
		n.table.check(t)
	})
}
