// Package chord is the Chord overlay: successor lists kept by dht/ring, fingers for
// lookups in a logarithmic number of hops.
package chord
