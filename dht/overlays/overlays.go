package overlays

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"dyschord/chord"
	"dyschord/dht"
	"dyschord/dht/lookup"
	"dyschord/kademlia"
	"dyschord/koorde"
)

// Config is the settings of every algorithm. The zero value is usable.
type Config struct {
	// Space is the identifier space. It overrides the algorithms' own fields.
	Space dht.Space
	// Lookup is the policy of lookups. It overrides the algorithms' own fields.
	Lookup lookup.Config
	// Chord is read by algorithm "chord".
	Chord chord.Config
	// Kademlia is read by algorithm "kademlia".
	Kademlia kademlia.Config
	// Koorde is read by algorithm "koorde".
	Koorde koorde.Config
}

// algorithm is a line of the table.
type algorithm struct {
	factory func(Config) (dht.Factory, error)
	owners  dht.Ownership
	agreed  func(Config) []Setting // nil: none
}

// Setting is a setting in words.
type Setting struct{ Name, Value string }

// table holds the algorithms by name.
var table = map[string]algorithm{
	"chord": {owners: dht.Successors, factory: func(c Config) (dht.Factory, error) {
		c.Chord.Space, c.Chord.Lookup = c.Space, c.Lookup
		return chord.Factory(c.Chord)
	}},
	"kademlia": {owners: dht.Closest, factory: func(c Config) (dht.Factory, error) {
		c.Kademlia.Space, c.Kademlia.Lookup = c.Space, c.Lookup
		return kademlia.Factory(c.Kademlia)
	}},
	"koorde": {owners: dht.Successors, factory: func(c Config) (dht.Factory, error) {
		c.Koorde.Space, c.Koorde.Lookup = c.Space, c.Lookup
		return koorde.Factory(c.Koorde)
	}, agreed: func(c Config) []Setting {
		return []Setting{{"koorde.degree", strconv.Itoa(c.Koorde.K())}}
	}},
}

// New returns the factory of the named algorithm. An unknown name is an error that
// lists the known ones.
func New(name string, c Config) (dht.Factory, error) {
	a, err := find(name)
	if err != nil {
		return nil, err
	}
	return a.factory(c)
}

// Owners returns the named algorithm's definition of who owns a key.
func Owners(name string) (dht.Ownership, error) {
	a, err := find(name)
	return a.owners, err
}

// Agreed lists the named algorithm's settings that all members of an overlay must have
// in common, beside the identifier space: where they differ, nodes do not understand
// each other. An unknown name has none.
func Agreed(name string, c Config) []Setting {
	if a := table[name]; a.agreed != nil {
		return a.agreed(c)
	}
	return nil
}

func find(name string) (algorithm, error) {
	a, ok := table[name]
	if !ok {
		return a, fmt.Errorf("unknown algorithm %q: %s is allowed", name, strings.Join(Names(), ", "))
	}
	return a, nil
}

// Names lists the algorithms in alphabetical order.
func Names() []string { return slices.Sorted(maps.Keys(table)) }
