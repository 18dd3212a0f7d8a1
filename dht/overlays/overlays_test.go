package overlays_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"dyschord/chord"
	"dyschord/dht"
	"dyschord/dht/lookup"
	"dyschord/dht/overlays"
	"dyschord/kademlia"
	"dyschord/koorde"
	"dyschord/net/simnet"
)

func TestUnknownAlgorithmNamesTheKnown(t *testing.T) {
	_, err := overlays.New("pastry", overlays.Config{})
	if err == nil || !strings.Contains(err.Error(), `"pastry"`) {
		t.Fatalf("the error is %v", err)
	}
	for _, name := range overlays.Names() {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q does not name %q", err, name)
		}
	}
	if !slices.Contains(overlays.Names(), "chord") {
		t.Errorf("the names are %v", overlays.Names())
	}
}

// Koorde's nodes shift digits of one size; the other algorithms' nodes need agree on
// nothing but the space.
func TestWhatMembersMustAgreeOn(t *testing.T) {
	set := overlays.Config{Koorde: koorde.Config{Degree: 4}}
	for _, c := range []struct {
		name string
		cfg  overlays.Config
		want []overlays.Setting
	}{
		{"koorde", overlays.Config{}, []overlays.Setting{{Name: "koorde.degree", Value: "16"}}},
		{"koorde", set, []overlays.Setting{{Name: "koorde.degree", Value: "4"}}},
		{"chord", set, nil},
		{"kademlia", set, nil},
		{"pastry", set, nil},
	} {
		if got := overlays.Agreed(c.name, c.cfg); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// The settings reach the algorithm: those that all share as well as its own.
func TestSettingsReachTheAlgorithm(t *testing.T) {
	for _, name := range overlays.Names() {
		cfg := overlays.Config{Space: dht.Space{Bits: 8}}
		factory, err := overlays.New(name, cfg)
		if err != nil {
			t.Fatal(err)
		}
		world := simnet.New(simnet.Config{Space: cfg.Space})
		defer world.Close()
		world.Add(func(env dht.Env) []dht.Service {
			o := factory(env)
			if got := o.Table().Algorithm; got != name {
				t.Errorf("%q made an overlay %q", name, got)
			}
			return []dht.Service{o}
		})
		for want, bad := range map[string]overlays.Config{
			"3 bits":           {Space: dht.Space{Bits: 3}},
			"lookup.alpha 99":  {Lookup: lookup.Config{Alpha: 99}},
			"lookup.timeout":   {Lookup: lookup.Config{Timeout: time.Nanosecond}},
			"chord.successors": {Chord: chord.Config{Successors: 99}},
			"kademlia.k 33":    {Kademlia: kademlia.Config{K: 33}},
			"koorde.degree 3":  {Koorde: koorde.Config{Degree: 3}},
		} {
			if owner, _, _ := strings.Cut(want, "."); owner != name && slices.Contains(overlays.Names(), owner) {
				continue // another algorithm's
			}
			if _, err := overlays.New(name, bad); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %+v gives the error %v", name, bad, err)
			}
		}
	}
}
