package dhttest

import (
	"context"
	"iter"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/net/simnet"
	"dyschord/net/wire"
)

// FuzzMessages lets a node ask and answer anything that the codec lets through, whatever
// the overlay's messages are. Nobody panics, and every request is answered.
func FuzzMessages(f *testing.F, opt Options) {
	factory, err := opt.New(Variant{})
	if err != nil {
		f.Fatal(err)
	}
	kinds := NewCluster(f, simnet.Config{}, factory, opt.Oracle).Add().Overlay.Kinds()
	codec := wire.NewCodec(kinds)
	for _, k := range kinds {
		body, err := codec.Append(nil, k.New())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(k.Code, body)
	}
	f.Fuzz(func(t *testing.T, code uint16, body []byte) {
		m, err := codec.Decode(code, body)
		if err != nil {
			return
		}
		c := NewCluster(t, simnet.Config{Seed: 1}, factory, opt.Oracle)
		c.Prefill(4)
		victim := c.Members[0].Peer()
		p := &parrot{kinds: kinds, say: m}
		node := c.Net.Add(func(env dht.Env) []dht.Service {
			p.env = env
			return []dht.Service{p}
		})
		live := append(peers(c.Members), node.Peer(), dht.Peer{})
		m.EachPeer(func(p *dht.Peer) { *p = live[p.Ref%uint32(len(live))] })
		if !node.Await("ask", time.Minute, func(ctx context.Context) { _, _ = dht.Call(ctx, p.env, victim, m) }) {
			t.Fatalf("%T was never answered", m)
		}
		c.Net.RunFor(3 * time.Second)
	})
}

// parrot says one thing only.
type parrot struct {
	env   dht.Env
	kinds []dht.Kind
	say   dht.Message
}

func (p *parrot) Kinds() []dht.Kind         { return p.kinds }
func (p *parrot) Peers() iter.Seq[dht.Peer] { return func(func(dht.Peer) bool) {} }

func (p *parrot) Handle(_ dht.Peer, _ dht.Message, r dht.Reply) { r.Send(p.say, nil) }
