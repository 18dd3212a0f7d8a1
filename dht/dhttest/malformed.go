package dhttest

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/net/simnet"
)

// malformed: a node that holds to no rule sends random messages of every kind, and
// answers requests with random replies. Nobody may panic, and when it has gone
// everything is right. In a narrow space, half of the identifiers it sends are outside.
func (s *suite) malformed(t *testing.T) {
	for _, bits := range []int{dht.MaxBits, 64} {
		t.Run(fmt.Sprint(bits), func(t *testing.T) { s.attacked(t, dht.Space{Bits: bits}) })
	}
}

func (s *suite) attacked(t *testing.T, space dht.Space) {
	c := s.grown(t, simnet.Config{Seed: 100, Space: space}, 12)
	var villain *rogue
	node := c.Net.Add(func(env dht.Env) []dht.Service {
		villain = &rogue{env: env, space: space, rand: env.Rand(), kinds: c.Members[0].Overlay.Kinds(), peers: peers(c.Live())}
		villain.peers = append(villain.peers, env.Self(), dht.Peer{})
		return []dht.Service{villain}
	})
	for range 60 {
		node.Do("attack", villain.attack)
		c.Run(2*time.Second, nil)
	}
	if villain.sent < 1000 || villain.answered == 0 {
		t.Errorf("the attack did not happen: %d requests sent, %d answered", villain.sent, villain.answered)
	}
	node.Crash()
	c.Converge(patience)
	c.agree(36)
}

// rogue is a service that knows the messages and nothing else.
type rogue struct {
	env            dht.Env
	space          dht.Space
	rand           *rand.Rand
	kinds          []dht.Kind
	peers          []dht.Peer
	sent, answered int
}

func (g *rogue) Kinds() []dht.Kind { return g.kinds }

func (g *rogue) Peers() iter.Seq[dht.Peer] {
	return func(yield func(dht.Peer) bool) {
		for _, p := range g.peers {
			if !p.IsZero() && !yield(p) {
				return
			}
		}
	}
}

func (g *rogue) Handle(_ dht.Peer, _ dht.Message, r dht.Reply) {
	g.answered++
	if g.rand.IntN(8) == 0 {
		r.Send(nil, &dht.Error{Code: uint16(g.rand.IntN(80)), Text: "nonsense"})
		return
	}
	r.Send(g.message(), nil)
}

func (g *rogue) attack(ctx context.Context) {
	calls := g.env.Calls()
	defer calls.Close()
	for _, p := range g.peers {
		for range 4 {
			if !p.IsZero() {
				calls.Start(p, g.message())
				g.sent++
			}
		}
	}
	for calls.Pending() > 0 {
		if _, err := calls.Next(ctx); err != nil {
			return
		}
	}
}

// message is a random message of a random kind.
func (g *rogue) message() dht.Message {
	m := g.kinds[g.rand.IntN(len(g.kinds))].New()
	g.fill(reflect.ValueOf(m).Elem())
	return m
}

func (g *rogue) fill(v reflect.Value) {
	switch v.Interface().(type) {
	case dht.ID:
		id := dht.NewID(g.rand.Uint64(), g.rand.Uint64())
		if g.rand.IntN(2) == 0 {
			id = g.space.Trim(id)
		}
		v.Set(reflect.ValueOf(id))
		return
	case dht.Peer:
		v.Set(reflect.ValueOf(g.peers[g.rand.IntN(len(g.peers))]))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() { // the others are not sent
				g.fill(v.Field(i))
			}
		}
	case reflect.Slice:
		n := g.rand.IntN(12)
		if g.rand.IntN(8) == 0 {
			n = g.rand.IntN(200)
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			g.fill(v.Index(i))
		}
	case reflect.Bool:
		v.SetBool(g.rand.IntN(2) == 0)
	case reflect.String:
		v.SetString("nonsense")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(g.number(v.Type().Bits()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(g.number(v.Type().Bits())))
	}
}

// number is small or large, with equal odds.
func (g *rogue) number(bits int) int64 {
	if g.rand.IntN(2) == 0 {
		return int64(g.rand.IntN(40))
	}
	return g.rand.Int64() >> (64 - bits)
}
