package dhttest

import (
	"slices"
	"strings"
	"testing"

	"dyschord/dht"
	"dyschord/net/simnet"
)

// fake is an overlay that is nothing but its pointers.
type fake struct {
	dht.Overlay
	pred dht.Peer
	succ []dht.Peer
}

func (f *fake) Predecessor() dht.Peer  { return f.pred }
func (f *fake) Successors() []dht.Peer { return f.succ }
func (*fake) Kinds() []dht.Kind        { return nil }
func (*fake) Prefill([]dht.Peer)       {}

// ideal is a ring of six with two successors each, which every checker accepts.
func ideal(t *testing.T) (*Cluster, []*fake) {
	c := NewCluster(t, simnet.Config{Space: dht.Space{Bits: 8}}, func(dht.Env) dht.Overlay { return &fake{} }, dht.Successors)
	for id := range uint64(6) {
		c.PrefillID(10 * id).Joined = true
	}
	ps := peers(c.Members)
	var fakes []*fake
	for i, m := range c.Members {
		f := m.Overlay.(*fake)
		f.pred, f.succ = ps[(i+5)%6], []dht.Peer{ps[(i+1)%6], ps[(i+2)%6]}
		fakes = append(fakes, f)
	}
	return c, fakes
}

// The checkers that the suite rests on see what they are there to see.
func TestCheckersSeeFaults(t *testing.T) {
	for want, spoil := range map[string]func(*Cluster, []*fake, []dht.Peer){
		"":                          func(*Cluster, []*fake, []dht.Peer) {},
		"has the predecessor":       func(_ *Cluster, f []*fake, p []dht.Peer) { f[2].pred = p[0] },
		"has the successors":        func(_ *Cluster, f []*fake, p []dht.Peer) { f[2].succ = []dht.Peer{p[4], p[5]} },
		"out of order":              func(_ *Cluster, f []*fake, p []dht.Peer) { f[2].succ = []dht.Peer{p[4], p[3]} },
		"edited in place":           func(_ *Cluster, f []*fake, p []dht.Peer) { f[2].succ[1] = p[5] },
		"predecessor was cleared":   func(_ *Cluster, f []*fake, _ []dht.Peer) { f[2].pred = dht.Peer{} },
		"no live successor":         func(c *Cluster, _ []*fake, _ []dht.Peer) { c.Crash(c.Members[1], c.Members[2]) },
		"principals among":          skipMany,
		"the predecessor 14#2, not": func(_ *Cluster, f []*fake, p []dht.Peer) { p[2].Inc = 2; f[3].pred = p[2] },
	} {
		c, fakes := ideal(t)
		v := newInvariants()
		if err := v.zave(2)(c); err != nil {
			t.Fatalf("an ideal ring: %v", err)
		}
		spoil(c, fakes, peers(c.Members))
		var found []string
		for _, err := range []error{v.wellFormed(c), v.zave(2)(c), wrongRing(c.Live())} {
			if err != nil {
				found = append(found, err.Error())
			}
		}
		seen := slices.ContainsFunc(found, func(text string) bool { return strings.Contains(text, want) })
		if want == "" && len(found) > 0 || want != "" && !seen {
			t.Errorf("%q was not seen, but %q", want, found)
		}
	}
}

// skipMany lets lists skip four of the six members.
func skipMany(_ *Cluster, f []*fake, p []dht.Peer) {
	f[0].succ = []dht.Peer{p[3], p[4]}
	f[3].succ = []dht.Peer{p[0], p[1]}
}
