package lookup

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// Of many owners some may be dead, and all who are asked name the same: enough of them
// to replace those.
func TestDeadAmongManyOwnersAreReplaced(t *testing.T) {
	for _, n := range []int{8, 16, 21} {
		for _, style := range []Style{Iterative, Recursive} {
			t.Run(fmt.Sprint(style, n), func(t *testing.T) { replacesTheDead(t, Config{Style: style}, n) })
		}
	}
}

func replacesTheDead(t *testing.T, cfg Config, n int) {
	net, all := newNet(t), &xor{}
	var hosts []*host[none]
	for _, id := range rand.New(rand.NewPCG(1, 1)).Perm(1 << 16)[:100] {
		h := addHost(t, net, uint64(id), &xor{}, cfg)
		hosts, all.known = append(hosts, h), append(all.known, h.Peer())
	}
	for _, h := range hosts { // everybody knows everybody
		r := h.driver.router.(*xor)
		r.self, r.known = h.Peer(), all.known
	}
	closest := all.Owners(hosts[0].Peer().ID, 100)
	for _, dead := range closest[3:5] {
		net.ByID(dead.ID).Crash()
	}
	want := slices.Concat(closest[:3], closest[5:n+2])
	r, err := hosts[0].lookup(t, hosts[0].Peer().ID.Lo(), n)
	if err != nil || !slices.Equal(r.Owners, want) {
		t.Errorf("%d owners wanted: %v, %v, want %v", n, ids(r.Owners), err, ids(want))
	}
}

// What an answer costs is the same for as few owners as are mostly asked for.
func TestWidthOfAnswers(t *testing.T) {
	standard := Config{}.withDefaults()
	for n, want := range map[int]int{1: 8, 3: 8, 4: 8, 5: 8, 6: 9, 8: 12, 16: 24, 21: 31, 22: 32, 32: 32} {
		if got := standard.width(n); got != want {
			t.Errorf("%d owners: %d candidates per answer, want %d", n, got, want)
		}
	}
	for n, want := range map[int]int{1: 1, 8: 8, 16: 17} {
		if got := (&Config{Redundancy: 1}).width(n); got != want {
			t.Errorf("%d owners, the least redundancy: %d candidates per answer, want %d", n, got, want)
		}
	}
}
