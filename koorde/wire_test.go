package koorde

import (
	"context"
	"encoding/hex"
	"reflect"
	"slices"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/dht/dhttest"
	"dyschord/dht/lookup"
	"dyschord/net/simnet"
	"dyschord/net/wire"
)

// dyad is a ring of two nodes and more, perfect and still.
func dyad(t testing.TB, bits int, ids ...uint64) *dhttest.Cluster {
	space := dht.Space{Bits: bits}
	factory, err := Factory(Config{Space: space, Degree: 4, Successors: 3})
	if err != nil {
		t.Fatal(err)
	}
	c := dhttest.NewCluster(t, simnet.Config{Seed: 1, Space: space, CheckCodec: true}, factory, dht.Successors)
	for _, id := range ids {
		c.PrefillID(id)
	}
	c.Perfect()
	return c
}

// find is a request for the way, which package lookup keeps to itself.
func find(t testing.TB, n *Node, key dht.ID, w walk) dht.Message {
	for _, k := range n.Kinds() {
		if k.Name == "find" {
			m := k.New()
			v := reflect.ValueOf(m).Elem()
			v.FieldByName("Key").Set(reflect.ValueOf(key))
			v.FieldByName("State").Set(reflect.ValueOf(w))
			v.FieldByName("N").SetUint(8)
			return m
		}
	}
	t.Fatal("there is no kind find")
	return nil
}

// The bytes of what Koorde adds to the wire: nodes of older versions will not understand
// a change.
func TestGoldenMessages(t *testing.T) {
	c := dyad(t, 8, 10, 20, 30)
	n := c.Members[0].Overlay.(*Node)
	codec := wire.NewCodec(n.Kinds())
	for want, m := range map[string]dht.Message{
		"a0": &read{},
		"a10183a2010102" + "01a2010202" + "01a2010302" + "01": &held{Pointers: []dht.Peer{{Ref: 1, Inc: 1}, {Ref: 2, Inc: 1}, {Ref: 3, Inc: 1}}},
		// key, walk (imaginary node, digits left, budget), role left out, 8 candidates
		"a30150000000000000000000000000000000e9" +
			"02a301500000000000000000000000000000003a" + "0203" + "0318b1" + "0408": find(t, n, dht.NewID(0, 0xe9), walk{dht.NewID(0, 0x3a), 3, 177}),
	} {
		got, err := codec.Append(nil, m)
		if err != nil || hex.EncodeToString(got) != want {
			t.Errorf("%T is %x (%v), want %s", m, got, err, want)
		}
	}
}

// What comes from the wire never makes a panic or a loop: every answer to it moves the
// walk on, and the walk ends.
func FuzzWalk(f *testing.F) {
	c := dyad(f, 8, 0, 3, 17, 64, 85, 86, 120, 170, 255)
	codec := wire.NewCodec(c.Members[0].Overlay.Kinds())
	byID := map[dht.ID]*Node{}
	for _, m := range c.Members {
		byID[m.Peer().ID] = m.Overlay.(*Node)
	}
	for i, m := range c.Members {
		n := m.Overlay.(*Node)
		key := dht.NewID(0, uint64(29*i))
		for _, w := range []walk{(*router)(n).Begin(key), {}, {dht.NewID(1, 2), 3, 4}, {dht.NewID(0, 85), 255, 255}} {
			b, err := codec.Append(nil, find(f, n, key, w))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(uint8(i), b)
		}
	}
	f.Fuzz(func(t *testing.T, at uint8, b []byte) {
		n := c.Members[int(at)%len(c.Members)].Overlay.(*Node)
		m, err := codec.Decode(16, b)
		if err != nil {
			return
		}
		v := reflect.ValueOf(m).Elem()
		key, w := v.FieldByName("Key").Interface().(dht.ID), v.FieldByName("State").Interface().(walk)
		for moves := 0; ; moves++ {
			here := step{Peer: n.env.Self(), State: w}
			steps, owners := (*router)(n).Next(key, w, 8)
			if len(steps) > 8 || len(owners) > 8 || moves > maxBudget {
				t.Fatalf("move %d of %+v to %s: %d steps, %d owners", moves, w, key, len(steps), len(owners))
			}
			for _, s := range steps {
				if n.cfg.space.Contains(key) && !(*router)(n).Nearer(key, s, here) && len(owners) == 0 {
					t.Fatalf("%+v at %s to %s: %+v is no progress", w, n.env.Self(), key, s)
				}
			}
			if len(owners) > 0 || len(steps) == 0 {
				return
			}
			n, w = byID[steps[0].Peer.ID], steps[0].State
		}
	})
}

// Pointers from a neighbour that holds to no rule are refused.
func TestHeldPointersAreChecked(t *testing.T) {
	peer := func(ref uint32) dht.Peer { return dht.Peer{ID: dht.NewID(0, uint64(ref)), Ref: ref} }
	long := make([]dht.Peer, dht.MaxPeers+1)
	for i := range long {
		long[i] = peer(uint32(i) + 1)
	}
	for _, c := range []struct {
		list []dht.Peer
		ok   bool
	}{
		{nil, true},
		{long[:dht.MaxPeers], true},
		{long, false},
		{[]dht.Peer{peer(1), {}}, false},
		{[]dht.Peer{peer(1), peer(2), peer(1)}, false},
	} {
		if err := (&held{c.list}).validate(); (err == nil) != c.ok {
			t.Errorf("%d pointers: %v", len(c.list), err)
		}
	}
}

// A dead pointer leaves the list at once, and no other does.
func TestDeadPointerLeavesAlone(t *testing.T) {
	c := still(t, 100, lookup.Iterative)
	m := c.Members[0]
	n := m.Overlay.(*Node)
	for _, place := range []int{0, 3, 20} {
		before, dead := n.pointers, n.pointers[place]
		c.Net.Lookup(dead.Ref).Crash()
		m.Do("suspect", func(ctx context.Context) { (*router)(n).Suspect(dead) })
		c.Net.RunFor(10 * time.Second)
		if want := before.without(dead); !slices.Equal(n.pointers, want) || len(want) != len(before)-1 {
			t.Errorf("%s died: of %v, %v are left", dead, before, n.pointers)
		}
	}
}
