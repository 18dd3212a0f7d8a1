package gateway

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// Gateway answers HTTP requests on behalf of a node.
type Gateway struct {
	cfg       Config
	node      Backend
	metrics   *metrics
	readiness readiness
	routes    []*route
	tokens    []digest
	strangers *http.CrossOriginProtection
	inFlight  chan struct{}
	bodies    atomic.Int64 // bytes of bodies that are being read or stored
}

// digest is a token whose secret can be compared without saying how much of it is
// right.
type digest struct {
	sum   [sha256.Size]byte
	scope Scope
}

// New returns a gateway in front of node.
func New(cfg Config, node Backend) (*Gateway, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	g := &Gateway{
		cfg: cfg, node: node, routes: routes(), inFlight: make(chan struct{}, cfg.MaxInFlight),
		readiness: readiness{turn: make(chan struct{}, 1)},
	}
	for _, token := range cfg.Tokens {
		g.tokens = append(g.tokens, digest{sha256.Sum256([]byte(token.Secret)), token.Scope})
	}
	var err error
	if g.strangers, err = newProtection(cfg.CORSOrigin); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	if g.metrics, err = newMetrics(cfg.Registry); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return g, nil
}

// Public is the handler for clients.
func (g *Gateway) Public() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.serve(w, r, false) })
}

// Admin is the handler for operators: that for clients, and the routes that stop or
// inspect the process.
func (g *Gateway) Admin() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.serve(w, r, true) })
}

// Server returns a server for one of the handlers with the gateway's time-outs. The
// caller makes it listen, and shuts it down.
func (g *Gateway) Server(h http.Handler) *http.Server {
	const maxHeader = 64 << 10 // a key of 1,024 bytes takes 3 KiB, escaped
	return &http.Server{
		Handler:           h,
		BaseContext:       markLocal,
		ReadHeaderTimeout: g.cfg.HeaderTimeout,
		IdleTimeout:       g.cfg.IdleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          quietLog(g.cfg.Log),
	}
}

// limits is what GET /v1/node publishes.
func (g *Gateway) limits() Limits {
	return Limits{
		KeyBytes: maxKey, ValueBytes: g.cfg.MaxValue, ContentTypeBytes: maxContentType, InFlight: g.cfg.MaxInFlight,
		BodyBytes: g.cfg.MaxBodyBytes,
	}
}

// enter takes a place among the requests in flight, without waiting for one.
func (g *Gateway) enter() bool {
	select {
	case g.inFlight <- struct{}{}:
		return true
	default:
		return false
	}
}

func (g *Gateway) leave() { <-g.inFlight }

// retryAfter is what a client that was turned away is asked to wait.
const retryAfter = time.Second
