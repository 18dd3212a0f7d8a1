package main

import (
	"time"

	"dyschord/chord"
	"dyschord/dht/lookup"
	"dyschord/dht/overlays"
	"dyschord/kademlia"
	"dyschord/koorde"
)

type chordSettings struct {
	Successors int           `mapstructure:"successors"`
	Stabilize  time.Duration `mapstructure:"stabilize"`
	Proximity  bool          `mapstructure:"proximity"`
}

type kademliaSettings struct {
	K         int           `mapstructure:"k"`
	Siblings  int           `mapstructure:"siblings"`
	Interval  time.Duration `mapstructure:"interval"`
	Proximity bool          `mapstructure:"proximity"`
}

type koordeSettings struct {
	Degree     int           `mapstructure:"degree"`
	Pointers   int           `mapstructure:"pointers"`
	Successors int           `mapstructure:"successors"`
	Stabilize  time.Duration `mapstructure:"stabilize"`
}

type lookupSettings struct {
	Alpha   int           `mapstructure:"alpha"`
	Style   string        `mapstructure:"style"`
	Timeout time.Duration `mapstructure:"timeout"`
}

// overlay translates the settings of all algorithms into what their packages take.
func (s settings) overlay() overlays.Config {
	style, _ := lookup.ParseStyle(s.Lookup.Style) // one of its names: the table lets nothing else through
	return overlays.Config{
		Lookup:   lookup.Config{Style: style, Alpha: s.Lookup.Alpha, Timeout: s.Lookup.Timeout},
		Chord:    chord.Config{Successors: s.Chord.Successors, Stabilize: s.Chord.Stabilize, Proximity: s.Chord.Proximity},
		Kademlia: kademlia.Config{K: s.Kademlia.K, Siblings: s.Kademlia.Siblings, Interval: s.Kademlia.Interval, Proximity: s.Kademlia.Proximity},
		Koorde: koorde.Config{
			Degree: s.Koorde.Degree, Pointers: s.Koorde.Pointers,
			Successors: s.Koorde.Successors, Stabilize: s.Koorde.Stabilize,
		},
	}
}

// maxPointers is the most that koorde.pointers can be.
const maxPointers = 120

// pointersOf is the default of koorde.pointers for a degree.
func pointersOf(degree int) int { return min(2*degree, maxPointers) }

// algorithmSettings lists what only one algorithm reads. A node ignores what is for
// another one, so that changing the algorithm is changing one setting.
func algorithmSettings() []setting {
	return []setting{
		{
			key: "chord.successors", kind: number{min: 1, max: 32}, def: 8, dev: true,
			group: "Of one algorithm each; a node reads its own. May differ between nodes, but for koorde.degree.",
			help:  "length of Chord's successor list",
			about: "Length of Chord's successor list, 1 to 32. The ring survives as many neighbours failing at once,\nless one. At least replicas.",
		},
		{
			key: "chord.stabilize", kind: interval, def: time.Second, dev: true,
			help:  "time between Chord's checks of its neighbours",
			about: "Time between Chord's checks of its neighbours, 50ms to 1m. Shorter repairs the ring sooner and\nsends more.",
		},
		{
			key: "chord.proximity", kind: yesNo{}, def: false, dev: true,
			help:  "choose Chord's fingers by round trip",
			about: "Choose each of Chord's fingers by round trip, among the nodes that will do. Lookups over long\ndistances get faster, not shorter; a refreshed finger costs five requests in place of one.",
		},
		{
			key: "kademlia.k", kind: number{min: 1, max: 32}, def: 20, dev: true,
			help:  "size of Kademlia's buckets",
			about: "Size of Kademlia's buckets, 1 to 32. More make lookups shorter and survive more failures at once,\nfor some memory.",
		},
		{
			key: "kademlia.siblings", kind: number{min: 1, max: 32}, def: 20, dev: true,
			help:  "closest nodes that a Kademlia node keeps whatever their bucket",
			about: "Closest nodes that a Kademlia node keeps whatever their bucket, 1 to 32. They make sure who holds\nwhat. At least replicas; better twice as many, since less one may fail at once.",
		},
		{
			key: "kademlia.interval", kind: interval, def: time.Second, dev: true,
			help:  "time between Kademlia's checks of its siblings",
			about: "Time between Kademlia's checks of its siblings, 50ms to 1m. Shorter notices failures sooner and\nsends more. Buckets are refreshed in turn, one in every two intervals.",
		},
		{
			key: "kademlia.proximity", kind: yesNo{}, def: false, dev: true,
			help:  "let full buckets of Kademlia prefer short round trips",
			about: "Let full buckets of Kademlia prefer nodes with short round trips. Lookups over long distances get\nfaster, not shorter; a refresh costs up to four more requests.",
		},
		{
			key: "koorde.degree", kind: number{min: 2, max: 64, power2: true}, def: 16, dev: true,
			help:  "degree of Koorde's de Bruijn graph; all members must agree",
			about: "Degree of Koorde's de Bruijn graph, a power of two from 2 to 64. All members must agree; a node\nthat differs is refused and told why. A lookup among N nodes takes about log N moves to the base of\nthe degree.",
		},
		{
			key: "koorde.pointers", kind: number{min: 2, max: maxPointers}, def: pointersOf(16), dev: true,
			help:  "de Bruijn pointers that a Koorde node keeps, at least its degree",
			about: "De Bruijn pointers that a Koorde node keeps, from the degree to 120; by default twice the degree, 120\nat most. Fewer make lookups longer where nodes stand far apart; more cost memory and upkeep.",
		},
		{
			key: "koorde.successors", kind: number{min: 1, max: 32}, def: 8, dev: true,
			help:  "length of Koorde's successor list",
			about: "Length of Koorde's successor list, 1 to 32. The ring survives as many neighbours failing at once,\nless one. At least replicas.",
		},
		{
			key: "koorde.stabilize", kind: interval, def: time.Second, dev: true,
			help:  "time between Koorde's checks of its neighbours",
			about: "Time between Koorde's checks of its neighbours, 50ms to 1m. Shorter repairs the ring sooner and\nsends more.",
		},
	}
}

// interval is the kind of setting that times an algorithm's upkeep.
var interval = span{50 * time.Millisecond, time.Minute}

// overlayConflicts refuses settings of the node's algorithm that cannot hold together,
// among each other or with the rest.
func (l loaded) overlayConflicts() error {
	s := l.settings
	reach := map[string]struct {
		key   string
		count int
	}{
		"chord":    {"chord.successors", s.Chord.Successors},
		"kademlia": {"kademlia.siblings", s.Kademlia.Siblings},
		"koorde":   {"koorde.successors", s.Koorde.Successors},
	}
	if r, ok := reach[s.Algorithm]; ok && r.count < s.Replicas {
		return usagef("setting %s conflicts with %s: a node must know at least as many neighbours as there are replicas",
			l.show(r.key), l.show("replicas"))
	}
	if s.Algorithm == "koorde" && s.Koorde.Pointers < s.Koorde.Degree {
		return usagef("setting %s conflicts with %s: at least as many pointers as the degree are needed", l.show("koorde.pointers"), l.show("koorde.degree"))
	}
	return nil
}
