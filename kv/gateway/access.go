package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// authorize refuses a request whose token does not allow need; 0 needs none.
func (x *exchange) authorize(need Scope) error {
	if need == 0 || len(x.g.tokens) == 0 {
		return nil
	}
	scheme, secret, ok := strings.Cut(x.r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return x.denied(http.StatusUnauthorized, "unauthorized", "this needs a header Authorization: Bearer TOKEN")
	}
	switch has := x.g.scopeOf(strings.TrimSpace(secret)); {
	case has == 0:
		return x.denied(http.StatusUnauthorized, "unauthorized", "the token is not known here")
	case has < need:
		return x.denied(http.StatusForbidden, "forbidden", "the token is for scope "+has.String()+"; this needs "+need.String())
	}
	return nil
}

// scopeOf compares a secret with every token, in a time that does not depend on how
// much of it is right.
func (g *Gateway) scopeOf(secret string) Scope {
	sum := sha256.Sum256([]byte(secret))
	has := 0
	for i := range g.tokens {
		same := subtle.ConstantTimeCompare(sum[:], g.tokens[i].sum[:])
		stronger := 1 - subtle.ConstantTimeLessOrEq(int(g.tokens[i].scope), has)
		has = subtle.ConstantTimeSelect(same&stronger, int(g.tokens[i].scope), has)
	}
	return Scope(has)
}

func (x *exchange) denied(status int, code, detail string) *fault {
	f := newFault(status, code, strings.ToLower(http.StatusText(status)), "%s", detail)
	if x.changes() {
		return f.ofWrite(x.g.cfg.Replicas, 0)
	}
	return f
}

// changes says whether the request is a write of a value.
func (x *exchange) changes() bool {
	return x.route.name == "kv" && (x.r.Method == http.MethodPut || x.r.Method == http.MethodDelete)
}

// What pages of another origin may send, and see.
const (
	corsMethods = "GET, HEAD, PUT, DELETE"
	corsSends   = "Authorization, Content-Type, If-None-Match, If-Match, Range, X-Request-Id"
	corsSees    = "ETag, Dyschord-Owner, Dyschord-Hops, Dyschord-Acks, X-Request-Id, Retry-After, Content-Range"
)

// cors lets pages of the configured origin in, and answers a preflight.
func (x *exchange) cors() (answered bool) {
	allowed, origin := x.g.cfg.CORSOrigin, x.r.Header.Get("Origin")
	if allowed == "" {
		return false
	}
	h := x.w.Header()
	h.Add("Vary", "Origin")
	if origin == "" || allowed != "*" && !strings.EqualFold(origin, allowed) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", allowed)
	h.Set("Access-Control-Expose-Headers", corsSees)
	if x.r.Method != http.MethodOptions || x.r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", corsMethods)
	h.Set("Access-Control-Allow-Headers", corsSends)
	h.Set("Access-Control-Max-Age", "600")
	x.w.WriteHeader(http.StatusNoContent)
	return true
}
