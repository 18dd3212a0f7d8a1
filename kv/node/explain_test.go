package node

import (
	"fmt"
	"regexp"
	"slices"
	"testing"

	"dyschord/dht"
	"dyschord/kv/gateway"
)

// wording is how an algorithm speaks of hops and of its table, as patterns: every text
// matches one, and each is met.
type wording struct {
	hops     []string
	also     []string // of hops, which few lookups need, or only those before tables are full
	sections []string // names, in order
	labels   []string // of entries
}

var wordings = map[string]wording{
	"chord": {
		hops: []string{
			`^finger \d+, the closest before the key$`, `^successor 1, the closest before the key$`,
			`^the key lies between its predecessor and it$`,
		},
		sections: []string{"^predecessor$", "^successors$", "^fingers$"},
		labels:   []string{`^predecessor$`, `^successor 1$`, `^fingers? \d(-\d)?, from [0-9a-f]$`},
	},
	"kademlia": {
		hops: []string{
			`^bucket \d, shares \d bits? with the key$`,
			`^one of the closest to the key\W+shares \d bits? with it\W+in the range of bucket \d$`,
		},
		also:     []string{`^sibling in the range of bucket \d, shares \d bits? with the key$`},
		sections: []string{"^siblings$", "^buckets$", "^replacement cache$"},
		labels:   []string{`^sibling 1, \d bits? shared$`, `^bucket \d, \d bits? shared$`, `^replacement \d, \d bits? shared$`},
	},
	"koorde": {
		hops: []string{
			`^digit [01] shifted in: de Bruijn pointer closest before the imaginary node [0-9a-f]$`,
			`^ring correction towards the imaginary node [0-9a-f]$`,
			`^the key lies between its predecessor and it$`,
		},
		also:     []string{`^begun anew at the imaginary node [0-9a-f]: no way on was known$`},
		sections: []string{"^predecessor$", "^successors$", `^pointers around 2·m = [0-9a-f]$`},
		labels:   []string{`^predecessor$`, `^successor [12]$`, `^backup \d before the anchor$`, `^anchor$`, `^pointer \d after the anchor$`},
	},
}

// unmet wants every text to match one of the patterns, and returns those of need that
// no text has matched.
func unmet(t *testing.T, what string, need, also, texts []string) []string {
	t.Helper()
	all := append(slices.Clone(need), also...)
	met := make(map[string]bool)
	for _, text := range texts {
		i := slices.IndexFunc(all, func(p string) bool { return regexp.MustCompile(p).MatchString(text) })
		if i < 0 {
			t.Fatalf("%s: %q is none of %q", what, text, all)
		}
		met[all[i]] = true
	}
	return slices.DeleteFunc(slices.Clone(need), func(p string) bool { return met[p] })
}

// Eight nodes stand evenly on a ring of sixteen points. They know as few others as
// they may, so that lookups take several hops.
func TestLookupsAndTablesSpeakTheAlgorithmsLanguage(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		words, ok := wordings[cfg.Algorithm]
		if !ok {
			t.Fatalf("how does %s explain itself?", cfg.Algorithm)
		}
		cfg.Space, cfg.Replicas, cfg.Gateway = dht.Space{Bits: 4, Hash: dht.Trivial}, 1, "127.0.0.1:0"
		cfg.Overlay.Chord.Successors = 1
		cfg.Overlay.Kademlia.K, cfg.Overlay.Kademlia.Siblings, cfg.Overlay.Lookup.Redundancy = 1, 1, 2
		cfg.Overlay.Koorde.Degree, cfg.Overlay.Koorde.Pointers, cfg.Overlay.Koorde.Successors = 2, 2, 2
		var nodes []*Node
		for i := range uint64(8) {
			cfg := cfg
			id := dht.NewID(0, 2*i)
			cfg.ID = &id
			if i > 0 {
				cfg.Bootstrap = nodes[0].Addrs()
			}
			nodes = append(nodes, start(t, cfg))
		}
		ready(t, nodes...)
		agree(t, nodes)
		settled(t, nodes...)
		// Tables fill up for a while after the nodes have found each other.
		eventually(t, "all that can be explained was", func() bool {
			hops, sections, labels := explained(t, nodes)
			missing := unmet(t, "hops", words.hops, words.also, hops)
			missing = append(missing, unmet(t, "sections", words.sections, nil, sections)...)
			return len(append(missing, unmet(t, "entries", words.labels, nil, labels)...)) == 0
		})
	})
}

// explained collects why hops were made, in lookups of every key from every node, and
// what the tables show.
func explained(t *testing.T, nodes []*Node) (hops, sections, labels []string) {
	t.Helper()
	for _, n := range nodes {
		for key := range 16 {
			url := fmt.Sprintf("%s/v1/lookup/?id=%x", n.GatewayURL(), key)
			for _, hop := range decode[struct{ Hops []struct{ Why string } }](t, fetch(t, plain, "GET", url, "", 200)).Hops {
				hops = append(hops, hop.Why)
			}
		}
		table := decode[gateway.Table](t, fetch(t, plain, "GET", n.GatewayURL()+"/v1/table", "", 200))
		if table.Algorithm != n.cfg.Algorithm || table.Self.ID != n.ID() {
			t.Fatalf("table of %s: %+v", n.ID(), table)
		}
		for _, s := range table.Sections {
			sections = append(sections, s.Name)
			for _, e := range s.Entries {
				labels = append(labels, e.Label)
			}
		}
	}
	return hops, sections, labels
}
