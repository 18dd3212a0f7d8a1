package lab

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"dyschord/dht"
	"dyschord/dht/overlays"
	"dyschord/net/simnet"
)

// Scenario describes one experiment. The zero value is usable: 1,000 static Chord
// nodes with perfect tables, each looking a key up every ten seconds for a minute.
type Scenario struct {
	// Algorithm names an overlay of package overlays. Default "chord".
	Algorithm string
	// Custom, if it is not nil, is an algorithm that package overlays does not have.
	// Algorithm is then only its name in results, and of Overlay only the space is used.
	Custom *Algorithm
	// Overlay is its settings. The zero value is the algorithm's defaults.
	Overlay overlays.Config
	// Seed decides everything random. The same seed gives the same nodes, keys and
	// sessions to every algorithm, so that differences between them are paired.
	Seed uint64
	// Nodes is the number of hosts, dead ones included; 1 to 1,000,000. Default 1,000.
	Nodes int
	// JoinEvery lets the nodes join one after another, this far apart, through members
	// drawn at random. 0: they start at once with tables made from full knowledge.
	JoinEvery time.Duration
	// Churn is how nodes come and go. The zero value: they stay.
	Churn Churn
	// LookupEvery is the mean time between two lookups of one node, exponentially
	// distributed. Default 10 s; negative for none.
	LookupEvery time.Duration
	// Owners is how many owners each lookup asks for, 1 to dht.MaxOwners. Default 1.
	Owners int
	// Latency is the network's. Default as in simnet.Config.
	Latency simnet.Latency
	// Faults are the network's.
	Faults simnet.Faults
	// WarmUp passes before anything is measured. Default 0.
	WarmUp time.Duration
	// Measure is how long lookups are begun and traffic is counted. Default 1 min.
	Measure time.Duration
	// Drain lets lookups end after that. Default 1 min; it ends with the last lookup.
	Drain time.Duration
	// Bytes, Identifiers and CheckCodec are those of simnet.Config.
	Bytes       int
	Identifiers bool
	CheckCodec  bool
	// Log receives what nodes log, Trace what happens. nil is nowhere.
	Log   slog.Handler
	Trace io.Writer
}

// Algorithm is what an experiment needs to know of an overlay.
type Algorithm struct {
	Factory dht.Factory
	Owners  dht.Ownership
}

// algorithm is the one that the scenario names or brings.
func (s Scenario) algorithm() (Algorithm, error) {
	if c := s.Custom; c != nil {
		if c.Factory == nil || c.Owners == nil {
			return Algorithm{}, errors.New("custom algorithm: factory and ownership are both needed")
		}
		return *c, nil
	}
	factory, err := overlays.New(s.Algorithm, s.Overlay)
	if err != nil {
		return Algorithm{}, err
	}
	owners, err := overlays.Owners(s.Algorithm)
	return Algorithm{factory, owners}, err
}

// Churn is how hosts come and go: sessions and dead times are exponentially
// distributed, so what is left of a session at the start is distributed as a whole
// one. Nodes leave by crashing.
type Churn struct {
	// Session is the mean life of a node. 0: for ever.
	Session time.Duration
	// Down is the mean time until the host comes back. Default Session.
	Down time.Duration
	// SameID lets a host come back under its old identity, as the next incarnation.
	// By default it comes back as a new node.
	SameID bool
	// Spared is how many hosts never die. Default 1: somebody must be left to join
	// through. Negative for none.
	Spared int
}

func (s Scenario) withDefaults() Scenario {
	setDefault(&s.Algorithm, "chord")
	setDefault(&s.Nodes, 1000)
	setDefault(&s.LookupEvery, 10*time.Second)
	setDefault(&s.Owners, 1)
	setDefault(&s.Measure, time.Minute)
	setDefault(&s.Drain, time.Minute)
	setDefault(&s.Churn.Down, s.Churn.Session)
	setDefault(&s.Churn.Spared, 1)
	return s
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

const maxNodes = 1_000_000

// Validate says what is wrong with s, defaults applied, if anything.
func (s Scenario) Validate() error {
	s = s.withDefaults()
	var errs []error
	if s.Nodes < 1 || s.Nodes > maxNodes {
		errs = append(errs, fmt.Errorf("nodes %d: 1 to %d is allowed", s.Nodes, maxNodes))
	}
	if w := s.Overlay.Space.Width(); w < 20 && s.Nodes > 1<<w {
		errs = append(errs, fmt.Errorf("nodes %d: a space of %d bits has room for %d", s.Nodes, w, 1<<w))
	}
	if s.Owners < 1 || s.Owners > dht.MaxOwners {
		errs = append(errs, fmt.Errorf("owners %d: 1 to %d is allowed", s.Owners, dht.MaxOwners))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"join interval", s.JoinEvery},
		{"session", s.Churn.Session},
		{"down time", s.Churn.Down},
		{"warm-up", s.WarmUp},
		{"measured time", s.Measure},
		{"drain", s.Drain},
	} {
		if d.value < 0 {
			errs = append(errs, fmt.Errorf("%s %v: 0 and more is allowed", d.name, d.value))
		}
	}
	if _, err := s.algorithm(); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, s.network().Validate())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("lab: scenario: %w", err)
	}
	return nil
}

// network is the part of the scenario that the simulator knows about.
func (s Scenario) network() simnet.Config {
	return simnet.Config{
		Seed: s.Seed, Space: s.Overlay.Space, Latency: s.Latency, Faults: s.Faults,
		Bytes: s.Bytes, Identifiers: s.Identifiers, CheckCodec: s.CheckCodec, Log: s.Log, Trace: s.Trace,
	}
}
