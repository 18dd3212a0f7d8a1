package chord_test

import (
	"testing"

	"dyschord/chord"
	"dyschord/dht"
	"dyschord/dht/dhttest"
	"dyschord/dht/lookup"
)

func TestConformance(t *testing.T) { dhttest.TestOverlay(t, options()) }

func FuzzMessages(f *testing.F) { dhttest.FuzzMessages(f, options()) }

// options is the overlay as the common tests take it. Recursive lookups are tried with
// fingers chosen by round trips, which says the same of either as all four combinations
// would.
func options() dhttest.Options {
	return dhttest.Options{
		New: func(v dhttest.Variant) (dht.Factory, error) {
			style := lookup.Iterative
			if v.Recursive {
				style = lookup.Recursive
			}
			return chord.Factory(chord.Config{Space: v.Space, Successors: v.Neighbours, Proximity: v.Recursive, Lookup: lookup.Config{Style: style}})
		},
		Oracle:     dht.Successors,
		MaxHops:    func(int) int { return 8 },
		Neighbours: 8,
	}
}
