package kademlia_test

import (
	"testing"

	"dyschord/dht"
	"dyschord/dht/dhttest"
	"dyschord/dht/lookup"
	"dyschord/kademlia"
)

func TestConformance(t *testing.T) { dhttest.TestOverlay(t, options()) }

// options is the overlay as the common tests take it.
func options() dhttest.Options {
	return dhttest.Options{
		New: func(v dhttest.Variant) (dht.Factory, error) {
			style := lookup.Iterative
			if v.Recursive {
				style = lookup.Recursive
			}
			return kademlia.Factory(kademlia.Config{Space: v.Space, Siblings: v.Neighbours, Lookup: lookup.Config{Style: style}})
		},
		Oracle:     dht.Closest,
		MaxHops:    func(int) int { return 5 },
		Neighbours: 20,
	}
}
