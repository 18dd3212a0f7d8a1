package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// listeners are a node's HTTP servers: the gateway, and the one for operators. They
// are bound before the node does anything else, so that an occupied port costs
// nobody anything.
type listeners struct {
	gateway, admin listener
}

type listener struct {
	bound   net.Listener // nil if there is none
	server  *http.Server // nil before serve
	scheme  string
	serving sync.WaitGroup
}

// drain is how long requests may go on when the node stops.
const drain = 3 * time.Second

func (l *listeners) open(gateway, admin string) error {
	if err := l.gateway.open("gateway", gateway); err != nil {
		return err
	}
	return l.admin.open("admin", admin)
}

func (l *listener) open(what, address string) (err error) {
	if address == "" || l.bound != nil {
		return nil
	}
	l.bound, err = bind(what, address)
	return err
}

// Bind binds the address of a gateway, HOST:PORT, for Config.Bound. The error is an
// *AddressError.
func Bind(address string) (net.Listener, error) { return bind("gateway", address) }

func bind(what, address string) (net.Listener, error) {
	bound, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, &AddressError{What: what, Address: address, Err: cause(err)}
	}
	return bound, nil
}

// AddressError is why an HTTP address cannot be listened on.
type AddressError struct {
	What    string // gateway or admin
	Address string // HOST:PORT
	Err     error  // of the system
}

// Error names the address and what is wrong with it.
func (e *AddressError) Error() string {
	return fmt.Sprintf("%s address %s cannot be used: %v", e.What, e.Address, e.Err)
}

// Unwrap returns the system's error.
func (e *AddressError) Unwrap() error { return e.Err }

// cause drops the operation and address that package net puts before an error.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// serve answers requests with server until close; with HTTPS if secure is not nil.
func (l *listener) serve(server *http.Server, secure *tls.Config, log *slog.Logger) {
	if l.bound == nil {
		return
	}
	l.server = server
	l.scheme = "http"
	bound := l.bound
	if secure != nil {
		l.scheme = "https"
		server.TLSConfig = secure
		bound = tls.NewListener(bound, secure)
	}
	l.serving.Go(func() {
		if err := server.Serve(bound); !errors.Is(err, http.ErrServerClosed) {
			log.Error("http listener failed", "addr", bound.Addr(), "err", err)
		}
	})
}

// close lets running requests finish, for a while, and returns when none is left.
func (l *listener) close() {
	switch {
	case l.server != nil:
		ctx, cancel := context.WithTimeout(context.Background(), drain)
		defer cancel()
		if l.server.Shutdown(ctx) != nil {
			l.server.Close() //nolint:errcheck // nothing is left to be done about it
		}
		l.serving.Wait()
	case l.bound != nil:
		l.bound.Close() //nolint:errcheck // as above
	}
}

func (l *listeners) close() {
	l.gateway.close()
	l.admin.close()
}

// url is where the listener is reached, empty if there is none.
func (l *listener) url() string {
	if l.bound == nil {
		return ""
	}
	return l.scheme + "://" + l.bound.Addr().String()
}
