package overlays

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"dyschord/chord"
	"dyschord/dht"
	"dyschord/dht/lookup"
)

// Config is the settings of every algorithm. The zero value is usable.
type Config struct {
	// Space is the identifier space. It overrides the algorithms' own fields.
	Space dht.Space
	// Lookup is the policy of lookups. It overrides the algorithms' own fields.
	Lookup lookup.Config
	// Chord is read by algorithm "chord".
	Chord chord.Config
}

// table holds the algorithms by name.
var table = map[string]func(Config) (dht.Factory, error){
	"chord": func(c Config) (dht.Factory, error) {
		c.Chord.Space, c.Chord.Lookup = c.Space, c.Lookup
		return chord.Factory(c.Chord)
	},
}

// New returns the factory of the named algorithm. An unknown name is an error that
// lists the known ones.
func New(name string, c Config) (dht.Factory, error) {
	algorithm, ok := table[name]
	if !ok {
		return nil, fmt.Errorf("unknown algorithm %q: %s is allowed", name, strings.Join(Names(), ", "))
	}
	return algorithm(c)
}

// Names lists the algorithms in alphabetical order.
func Names() []string { return slices.Sorted(maps.Keys(table)) }
