package ring

import (
	"testing"

	"dyschord/dht"
	"dyschord/net/simnet"
)

// A node that nobody is left for looks for the lost in every round.
func TestNodeAloneLooksForTheLost(t *testing.T) {
	w := perfect(t, 2, 10, 20, 30, 40)
	w.members[40].Crash()
	w.net.Partition([]*simnet.Node{w.members[10].Node})
	w.rounds(4)
	w.expect(10, 40)
	w.net.Heal()
	w.rounds(5)
	w.expect(10, 30, 20, 30)
	w.expect(20, 10, 30, 10)
}

// Two rings in one network become one, through what each remembers of the other.
func TestTwoRingsBecomeOne(t *testing.T) {
	w := perfect(t, 2, 10, 20, 30, 40, 50, 60)
	w.net.Partition([]*simnet.Node{w.members[10].Node, w.members[30].Node, w.members[50].Node})
	w.rounds(8)
	w.expect(10, 50, 30, 50)
	w.expect(20, 60, 40, 60)
	w.net.Heal()
	w.rounds(40)
	w.expect(10, 60, 20, 30)
	w.expect(20, 10, 30, 40)
	w.expect(50, 40, 60, 10)
	w.rounds(60)
	for id, m := range w.members {
		if len(m.Ring.lost) > 0 {
			t.Errorf("%d holds %v for lost still", id, m.Ring.lost)
		}
	}
}

// Deaths without number during a partition do not take away all ways to the other side.
func TestDeathsDoNotKeepAPartitionApart(t *testing.T) {
	w := perfect(t, 2, 10, 20, 30, 40, 50, 60)
	w.net.Partition([]*simnet.Node{w.members[10].Node, w.members[30].Node, w.members[50].Node})
	w.rounds(8)
	w.expect(10, 50, 30, 50)
	w.expect(20, 60, 40, 60)
	var dead []dht.Peer
	for i := range uint64(40) {
		m := w.start(100 + i)
		m.Crash()
		dead = append(dead, m.Peer())
	}
	for id := uint64(10); id <= 60; id += 10 {
		for _, p := range dead {
			w.members[id].lose(p)
		}
		if n := len(w.members[id].Ring.lost); n != maxLost {
			t.Fatalf("%d remembers %d of the lost", id, n)
		}
	}
	w.net.Heal()
	for n := 0; len(w.members[10].Successors()) == 0 || w.members[10].Successor() != w.members[20].Peer(); n += 10 {
		if n == 1000 {
			t.Fatal("the two sides are apart still")
		}
		w.rounds(10)
	}
	w.rounds(100)
	w.expect(10, 60, 20, 30)
	w.expect(20, 10, 30, 40)
	w.expect(50, 40, 60, 10)
}
