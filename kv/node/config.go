package node

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/multiformats/go-multiaddr"

	"dyschord/dht"
	"dyschord/dht/overlays"
	"dyschord/kv/gateway"
	"dyschord/kv/store"
)

// Config describes a node. The zero value is a node that keeps everything in
// memory, listens on a free port of loopback, has no gateway, and founds a cluster
// of its own.
type Config struct {
	// Cluster names the cluster. All members agree. Default "dyschord".
	Cluster string
	// Algorithm names the overlay, one of overlays.Names. All members agree. Default
	// "chord".
	Algorithm string
	// Space is the identifier space. All members agree. Default 128 bits, SHA-256.
	Space dht.Space
	// Slots, Replicas, Heartbeat, MaxValue and Timeout are those of kv.Config. All
	// members agree on Slots.
	Slots     int
	Replicas  int
	Heartbeat time.Duration
	MaxValue  int
	Timeout   time.Duration
	// Overlay has the settings of the algorithms. Space is taken from above.
	Overlay overlays.Config
	// ID chooses the node's identifier, in narrow or trivial spaces only. Default:
	// computed from its key.
	ID *dht.ID

	// Listen are the multiaddrs for other nodes, Announce those to tell them where
	// they differ. Default /ip4/127.0.0.1/tcp/0. Anything but loopback needs Insecure.
	Listen   []string
	Announce []string
	// Bootstrap are multiaddrs of members to join through. With none, a node without
	// stored state founds a cluster; with some, it never does.
	Bootstrap []string
	// Gateway and Admin are HOST:PORT of the HTTP listeners; port 0 takes a free one;
	// empty means none. Anything but loopback needs Tokens or Insecure.
	Gateway string
	Admin   string
	// Bound is a listener that the gateway takes instead of binding Gateway, for whoever
	// must know that several addresses are free before anything starts; see Bind. Start
	// takes it over, and closes it when it fails. Default: none.
	Bound net.Listener
	// Tokens are the bearer tokens that the HTTP listeners ask for. Default none.
	Tokens []gateway.Token
	// TLS makes the HTTP listeners speak HTTPS. Default: plain HTTP.
	TLS *tls.Config
	// Insecure allows addresses that others can reach, although nothing asks who
	// comes.
	Insecure bool

	// DataDir holds the node's key and data. Empty: memory only.
	DataDir string
	// Cache holds blocks read from disk; all nodes of a process should share one.
	// Default: one of the node's own.
	Cache *store.Cache

	// Log receives the node's log. Default: none.
	Log *slog.Logger
	// LogRequests logs each HTTP request, LogRPC each call between nodes, at Info.
	LogRequests bool
	LogRPC      bool
	// Version is shown in GET /v1/node. Default "(devel)".
	Version string
}

func (c Config) withDefaults() Config {
	orDefault(&c.Cluster, "dyschord")
	orDefault(&c.Algorithm, "chord")
	orDefault(&c.Version, "(devel)")
	orDefault(&c.Space.Bits, dht.MaxBits)
	orDefault(&c.Replicas, 3)
	orDefault(&c.MaxValue, 1<<20)
	orDefault(&c.Timeout, 10*time.Second)
	orDefault(&c.Slots, 1<<min(8, c.Space.Width()))
	if len(c.Listen) == 0 {
		c.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
	}
	if c.Bound != nil {
		c.Gateway = c.Bound.Addr().String()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Overlay.Space = c.Space
	return c
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// validate refuses addresses that others can reach, unless told that this is meant.
// Everything else is checked by the packages it is for.
func (c Config) validate() error {
	if c.Insecure {
		return nil
	}
	for _, addr := range c.Listen {
		if !LoopbackMultiaddr(addr) {
			return fmt.Errorf("node: listening on %s needs Insecure: whoever reaches it can join; only loopback is allowed without", addr)
		}
	}
	for _, addr := range []string{c.Gateway, c.Admin} {
		if addr != "" && !LoopbackHost(addr) && len(c.Tokens) == 0 {
			return fmt.Errorf("node: serving HTTP on %s needs Tokens or Insecure: whoever reaches it can read and write; only loopback is allowed without", addr)
		}
	}
	return nil
}

// LoopbackHost says whether HOST:PORT can be reached from this machine alone.
func LoopbackHost(hostPort string) bool {
	host, _, _ := net.SplitHostPort(hostPort)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// LoopbackMultiaddr says whether a multiaddr can be reached from this machine alone.
func LoopbackMultiaddr(text string) bool {
	addr, err := multiaddr.NewMultiaddr(text)
	if err != nil || len(addr) == 0 {
		return false
	}
	first := addr[0]
	if strings.HasPrefix(first.Protocol().Name, "ip") {
		ip := net.ParseIP(first.Value())
		return ip != nil && ip.IsLoopback()
	}
	return strings.HasPrefix(first.Protocol().Name, "dns") && first.Value() == "localhost"
}

// badge is what the node's data directory belongs to.
func (c Config) badge() badge {
	b := badge{
		Cluster: c.Cluster, Algorithm: c.Algorithm, Bits: int(c.Space.Width()), Hash: c.Space.Hash.String(), Slots: c.Slots,
	}
	if c.ID != nil {
		b.ID = c.Space.Format(*c.ID)
	}
	return b
}
