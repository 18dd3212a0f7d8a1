package gateway

import (
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dyschord/dht"
)

// Config of a gateway. The zero value works, without tokens: whoever reaches the
// handlers may use them.
type Config struct {
	// Space is that of the cluster, to read identifiers. Default 128 bits.
	Space dht.Space
	// MaxValue is the longest value in bytes, as the cluster has it. Default 1 MiB.
	MaxValue int
	// Replicas is how many copies of a value there should be. Default 3.
	Replicas int
	// MaxInFlight is the number of requests served at once; more are answered with
	// status 429. Health checks and metrics are not counted. Default 1024.
	MaxInFlight int
	// MaxBodyBytes is the memory, in bytes, that bodies of writes in flight may take
	// together; more are answered with status 429. Default 256 MiB, at least MaxValue.
	MaxBodyBytes int
	// Timeout ends an operation. Default 15 s. The node's own is the better one, so
	// this should be longer.
	Timeout time.Duration
	// BodyTimeout is how long a client may take to send a body, and WriteTimeout to
	// take an answer. Default 30 s each.
	BodyTimeout  time.Duration
	WriteTimeout time.Duration
	// HeaderTimeout is how long a client may take to send a request's header,
	// IdleTimeout how long a connection may be without one. They apply to Servers
	// made by Server. Default 10 s and 2 min.
	HeaderTimeout time.Duration
	IdleTimeout   time.Duration
	// Tokens are the bearer tokens that are accepted. Default none: no token is asked
	// for. The owner of the listener decides whether that is allowed there.
	Tokens []Token
	// CORSOrigin is the origin whose pages may use the gateway, such as
	// https://a.example, or "*". The admin routes stay closed to it. Default none.
	CORSOrigin string
	// Registry is where the gateway's metrics are registered, and what /metrics shows.
	// Default: one of its own.
	Registry *prometheus.Registry
	// Log receives failures; with LogRequests each request too, at Info. Default: none.
	Log         *slog.Logger
	LogRequests bool
}

// Token is a secret and what its bearer may do.
type Token struct {
	Secret string // 16 bytes or more
	Scope  Scope
}

// Scope is what a bearer may do; each includes those before it.
type Scope uint8

// The scopes, weakest first.
const (
	Read  Scope = iota + 1 // read values and views of the cluster
	Write                  // write and delete values
	Admin                  // the admin routes
)

// ParseScope reads "read", "write" or "admin".
func ParseScope(s string) (Scope, error) {
	switch s {
	case "read":
		return Read, nil
	case "write":
		return Write, nil
	case "admin":
		return Admin, nil
	}
	return 0, fmt.Errorf("unknown scope %q: read, write or admin is allowed", s)
}

// String returns the name that ParseScope reads.
func (s Scope) String() string {
	switch s {
	case Read:
		return "read"
	case Write:
		return "write"
	case Admin:
		return "admin"
	}
	return "none"
}

func (c Config) withDefaults() Config {
	orDefault(&c.MaxValue, 1<<20)
	orDefault(&c.Replicas, 3)
	orDefault(&c.MaxInFlight, 1024)
	orDefault(&c.MaxBodyBytes, max(256<<20, c.MaxValue))
	orDefault(&c.Timeout, 15*time.Second)
	orDefault(&c.BodyTimeout, 30*time.Second)
	orDefault(&c.WriteTimeout, 30*time.Second)
	orDefault(&c.HeaderTimeout, 10*time.Second)
	orDefault(&c.IdleTimeout, 2*time.Minute)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Registry == nil {
		c.Registry = prometheus.NewRegistry()
	}
	return c
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

const minSecret = 16

func (c Config) validate() error {
	if err := c.Space.Validate(); err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	for _, field := range []struct {
		name  string
		value int64
	}{
		{"MaxValue", int64(c.MaxValue)},
		{"Replicas", int64(c.Replicas)},
		{"MaxInFlight", int64(c.MaxInFlight)},
		{"MaxBodyBytes", int64(c.MaxBodyBytes)},
		{"Timeout", int64(c.Timeout)},
		{"BodyTimeout", int64(c.BodyTimeout)},
		{"WriteTimeout", int64(c.WriteTimeout)},
		{"HeaderTimeout", int64(c.HeaderTimeout)},
		{"IdleTimeout", int64(c.IdleTimeout)},
	} {
		if field.value <= 0 {
			return fmt.Errorf("gateway: %s is %d: more than 0 is allowed", field.name, field.value)
		}
	}
	if c.MaxBodyBytes < c.MaxValue {
		return fmt.Errorf("gateway: MaxBodyBytes is %d: at least MaxValue, %d, is allowed", c.MaxBodyBytes, c.MaxValue)
	}
	for i, token := range c.Tokens {
		if len(token.Secret) < minSecret {
			return fmt.Errorf("gateway: token %d has %d characters: %d or more are needed", i+1, len(token.Secret), minSecret)
		}
		if token.Scope < Read || token.Scope > Admin {
			return fmt.Errorf("gateway: token %d has no scope: read, write or admin is needed", i+1)
		}
	}
	return nil
}

func appendMilliseconds(b []byte, d time.Duration) []byte {
	return strconv.AppendFloat(b, float64(d.Round(time.Microsecond))/float64(time.Millisecond), 'f', -1, 64)
}
