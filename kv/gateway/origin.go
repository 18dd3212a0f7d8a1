package gateway

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// A browser sends what any page tells it to, with the rights of whoever sits in
// front of it. Two rules keep pages from using a gateway that only this machine
// reaches, and that therefore asks for no token:
//
//   - A request that changes something is refused if the browser says that a page of
//     another origin made it.
//   - A page can have its own host name resolve to this machine, and is then of the
//     same origin. So names other than localhost are refused.

// expected refuses a request that a page of somebody else's made.
func (x *exchange) expected() error {
	if err := x.ownName(); err != nil {
		return err
	}
	return x.sameOrigin()
}

// newProtection refuses cross-origin requests that change something, but those of
// pages that CORS lets in.
func newProtection(trusted string) (*http.CrossOriginProtection, error) {
	p := http.NewCrossOriginProtection()
	if trusted == "" || trusted == "*" {
		return p, nil
	}
	if err := p.AddTrustedOrigin(strings.ToLower(trusted)); err != nil {
		return nil, fmt.Errorf("CORSOrigin is %q: an origin such as https://a.example, or *, is allowed: %w", trusted, err)
	}
	return p, nil
}

// sameOrigin refuses what a page of another origin had the browser send. CORS lets
// pages use values, not the routes of operators.
func (x *exchange) sameOrigin() error {
	guard := x.g.strangers
	switch {
	case x.route.admin:
		guard = http.NewCrossOriginProtection()
	case x.g.cfg.CORSOrigin == "*":
		return nil
	}
	if guard.Check(x.r) == nil {
		return nil
	}
	return x.denied(http.StatusForbidden, "cross_origin",
		fmt.Sprintf("a page of another origin, %q, may not send this", x.r.Header.Get("Origin")))
}

// local marks the requests of a listener that only this machine reaches.
type local struct{}

func markLocal(l net.Listener) context.Context {
	addr, ok := l.Addr().(*net.TCPAddr)
	return context.WithValue(context.Background(), local{}, ok && addr.IP.IsLoopback())
}

// ownName refuses requests for a host name that is not this machine's, on a listener
// that only this machine reaches, unless a token proves more than the name does.
func (x *exchange) ownName() error {
	if onlyHere, _ := x.r.Context().Value(local{}).(bool); !onlyHere || len(x.g.tokens) > 0 || isLocalName(x.r.Host) {
		return nil
	}
	return x.denied(http.StatusMisdirectedRequest, "misdirected_request",
		fmt.Sprintf("this listener serves loopback without tokens, and so only the host names localhost, 127.0.0.1 and [::1], not %q", x.r.Host))
}

// isLocalName says whether a Host header can only mean this machine. Browsers resolve
// no address, so that any address will do; and they always send one.
func isLocalName(host string) bool {
	name := strings.ToLower(host)
	if h, _, err := net.SplitHostPort(name); err == nil {
		name = h
	}
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return true
	}
	name = strings.TrimSuffix(name, ".")
	return name == "" || name == "localhost" || strings.HasSuffix(name, ".localhost")
}
