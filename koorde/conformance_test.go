package koorde_test

import (
	"testing"

	"dyschord/dht"
	"dyschord/dht/dhttest"
	"dyschord/dht/lookup"
	"dyschord/koorde"
)

func TestConformance(t *testing.T) { dhttest.TestOverlay(t, options()) }

func FuzzMessages(f *testing.F) { dhttest.FuzzMessages(f, options()) }

// options is the overlay as the common tests take it.
func options() dhttest.Options {
	return dhttest.Options{
		New: func(v dhttest.Variant) (dht.Factory, error) {
			style := lookup.Iterative
			if v.Recursive {
				style = lookup.Recursive
			}
			return koorde.Factory(koorde.Config{Space: v.Space, Successors: v.Neighbours, Lookup: lookup.Config{Style: style}})
		},
		Oracle:     dht.Successors,
		MaxHops:    func(int) int { return 8 },
		Neighbours: 8,
	}
}
