package lookup

import (
	"slices"
	"testing"
	"time"
)

// Whoever names the owners may not know one that was named for the way before. It is
// asked all the same, if it would be a better owner and nobody has named it; it may be
// dead.
func TestCloserStepIsAsked(t *testing.T) {
	for _, row := range []struct {
		n, messages int
		pause, told bool // node 2; node 3 of it
		want        []uint64
	}{
		{n: 1, messages: 1, want: []uint64{1}},
		{n: 2, messages: 3, want: []uint64{1, 2}}, // node 3 was named as well, and asked
		{n: 3, messages: 3, want: []uint64{1, 2, 3}},
		{n: 2, messages: 3, want: []uint64{1, 3}, pause: true},
		{n: 2, messages: 5, want: []uint64{1, 3}, pause: true, told: true}, // as an owner, twice, and node 3 is told
	} {
		net := newNet(t)
		var hosts []*host[none]
		for _, id := range []uint64{32, 1, 2, 3, 16} {
			hosts = append(hosts, addHost(t, net, id, &xor{}, Config{}))
		}
		know := func(i int, others ...int) {
			r := hosts[i].driver.router.(*xor)
			r.self = hosts[i].Peer()
			for _, j := range others {
				r.known = append(r.known, hosts[j].Peer())
			}
		}
		know(0, 1, 2, 4)
		know(1, 1, 3)
		know(2, 2, 3)
		know(3, 1, 3)
		if row.told {
			know(3, 2)
		}
		know(4, 4)
		if row.pause {
			hosts[2].Pause(time.Hour)
		}
		r, err := hosts[0].lookup(t, 0, row.n)
		if err != nil || !slices.Equal(ids(r.Owners), row.want) || r.Messages != row.messages {
			t.Errorf("%d wanted: %v with %d messages, %v, want %v with %d", row.n, ids(r.Owners), r.Messages, err, row.want, row.messages)
		}
		if hosts[4].found > 0 {
			t.Errorf("%d wanted: the node farther off was asked", row.n)
		}
	}
}
