package p2p

import (
	"fmt"
	"log/slog"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"dyschord/dht"
	"dyschord/internal/rto"
	"dyschord/net/wire"
)

// Config describes a host. Key and Inc are required; every other zero field means
// its default.
type Config struct {
	// Key is the node's identity; its identifier follows from it.
	Key Key
	// Inc is the incarnation of this run: larger than that of every earlier run under
	// the same key, such as a boot counter or the second of the start. Not 0.
	Inc uint32
	// Listen are the multiaddrs to listen on: /ip4 or /ip6 with /tcp/PORT or
	// /udp/PORT/quic-v1; port 0 takes a free one. TCP costs about half of QUIC's
	// processor time. Default /ip4/127.0.0.1/tcp/0.
	Listen []string
	// Announce are the multiaddrs other nodes are told, at most wire.MaxAddrs, where
	// they cannot use those this host listens on. Default: the addresses it listens on.
	Announce []string

	// Space is the identifier space of the cluster. Default 128 bits, SHA-256.
	Space dht.Space
	// ID chooses the identifier by hand, for teaching and tests. Allowed with the
	// trivial hash and in spaces of at most 16 bits only.
	ID *dht.ID
	// Settings are what all members must agree on (cluster, algorithm, slots...), each
	// under a name. A node that differs in one is refused, and told both values.
	Settings []wire.Setting

	// MaxValue is the largest value that messages carry, in bytes; longer messages
	// (with some room) are refused. Default 1 MiB.
	MaxValue int
	// InFlight bounds the requests of one peer that wait for their replies, in each
	// direction; further ones end with dht.ErrBusy. Default 1024.
	InFlight int
	// SendBuffer bounds what waits to be sent to one peer in each direction, in
	// bytes; more ends with dht.ErrBusy. One message is always taken. Default 8 MiB.
	SendBuffer int
	// MaxPeers bounds the contacts kept; those nobody holds go first. Default 16384.
	MaxPeers int
	// MaxConns bounds the connections, each with 2 descriptors at most. Default 1024.
	MaxConns int

	// Timeouts are the bounds of the adaptive time-outs of requests.
	Timeouts rto.Config
	// DialTimeout bounds the way to a peer: connection, encryption, handshake. A peer
	// that takes longer is unreachable. Default 3 s.
	DialTimeout time.Duration
	// RedialMin and RedialMax bound the pause after a failed dial, which doubles with
	// each further failure and is jittered; requests end with dht.ErrUnreachable
	// meanwhile. Default 200 ms and 4 s.
	RedialMin, RedialMax time.Duration
	// Stall is how long a peer may be silent while requests wait for it before its
	// connection counts as lost. It is probed before. Default 10 s.
	Stall time.Duration
	// Idle is how long an unused stream is kept. Default 5 min.
	Idle time.Duration

	// Log receives the node's log. Default: none.
	Log *slog.Logger
	// LogRPC writes each request and its outcome to Log at level Info.
	LogRPC bool
	// OnEvent is told what happens. It is called from many goroutines, inside the
	// monitor too, and must neither block nor call the host. Default: nobody is told.
	OnEvent func(dht.Event)
}

func (c Config) withDefaults() Config {
	if len(c.Listen) == 0 {
		c.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Timeouts = c.Timeouts.WithDefaults()
	fill(&c.MaxValue, 1<<20)
	fill(&c.InFlight, 1024)
	fill(&c.SendBuffer, 8<<20)
	fill(&c.MaxPeers, 1<<14)
	fill(&c.MaxConns, 1024)
	fill(&c.DialTimeout, 3*time.Second)
	fill(&c.RedialMin, 200*time.Millisecond)
	fill(&c.RedialMax, 4*time.Second)
	fill(&c.Stall, 10*time.Second)
	fill(&c.Idle, 5*time.Minute)
	return c
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// validate checks c after withDefaults.
func (c Config) validate() error {
	if c.Key.priv == nil {
		return fmt.Errorf("p2p: no key: LoadKey or NewKey makes one")
	}
	if c.Inc == 0 {
		return fmt.Errorf("p2p: the incarnation is 0: it counts starts from 1")
	}
	if err := c.Space.Validate(); err != nil {
		return fmt.Errorf("p2p: %w", err)
	}
	if err := c.validateID(); err != nil {
		return err
	}
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"MaxValue", int64(c.MaxValue)},
		{"InFlight", int64(c.InFlight)},
		{"SendBuffer", int64(c.SendBuffer)},
		{"MaxPeers", int64(c.MaxPeers)},
		{"MaxConns", int64(c.MaxConns)},
		{"DialTimeout", int64(c.DialTimeout)},
		{"RedialMin", int64(c.RedialMin)},
		{"RedialMax", int64(c.RedialMax - c.RedialMin)},
		{"Stall", int64(c.Stall)},
		{"Idle", int64(c.Idle)},
	} {
		if n.value < 0 {
			return fmt.Errorf("p2p: %s is negative or below its lower bound: 0 (the default) and more is allowed", n.name)
		}
	}
	if err := c.Timeouts.Validate(); err != nil {
		return fmt.Errorf("p2p: %w", err)
	}
	return c.hello(nil).Validate()
}

func (c Config) validateID() error {
	switch {
	case c.ID == nil:
		return nil
	case !narrow(c.Space):
		return fmt.Errorf("p2p: identifier %s is set by hand in a space of %d bits with %s: that takes the trivial hash or at most %d bits",
			*c.ID, c.Space.Width(), c.Space.Hash, narrowBits)
	case !c.Space.Contains(*c.ID):
		return fmt.Errorf("p2p: identifier %s does not fit in %d bits: 0 to %s is allowed", *c.ID, c.Space.Width(), c.Space.Max())
	}
	return nil
}

// narrowBits is the widest space whose identifiers may be set by hand.
const narrowBits = 16

// narrow says whether identifiers of s may be set by hand.
func narrow(s dht.Space) bool { return s.Hash == dht.Trivial || s.Width() <= narrowBits }

// hello is what this host says first on every stream.
func (c Config) hello(addrs []ma.Multiaddr) wire.Hello {
	return wire.Hello{
		Version:  wire.Version,
		Inc:      c.Inc,
		Settings: c.Settings,
		Addrs:    rawAddrs(addrs),
		ID:       c.ID,
		MaxData:  uint32(wire.MaxData(c.MaxValue)),
	}
}
