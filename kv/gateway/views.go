package gateway

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// showNode answers GET /v1/node.
func showNode(x *exchange) error {
	if _, err := x.query(nil, nil); err != nil {
		return err
	}
	return x.json(http.StatusOK, x.g.describe())
}

func (g *Gateway) describe() NodeInfo {
	info := g.node.Describe()
	info.Limits = g.limits()
	if !info.Started.IsZero() {
		info.Uptime = time.Since(info.Started).Round(time.Millisecond).Seconds()
	}
	info.Multiaddrs = filled(info.Multiaddrs)
	return info
}

// filled makes an empty list of none, which JSON has as null.
func filled[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// showRing answers GET /v1/ring.
func showRing(x *exchange) error {
	if _, err := x.query(nil, nil); err != nil {
		return err
	}
	ring, err := x.g.node.Ring(x.r.Context())
	if err != nil {
		return err
	}
	ring.Members, ring.Slots = filled(ring.Members), filled(ring.Slots)
	for i := range ring.Members {
		ring.Members[i].Multiaddrs = filled(ring.Members[i].Multiaddrs)
	}
	for i := range ring.Slots {
		ring.Slots[i].Members = filled(ring.Slots[i].Members)
	}
	return x.json(http.StatusOK, ring)
}

// showTable answers GET /v1/table.
func showTable(x *exchange) error {
	if _, err := x.query(nil, nil); err != nil {
		return err
	}
	table, err := x.g.node.Table(x.r.Context())
	if err != nil {
		return err
	}
	table.Sections = filled(table.Sections)
	for i := range table.Sections {
		table.Sections[i].Entries = filled(table.Sections[i].Entries)
	}
	return x.json(http.StatusOK, table)
}

// showLookup answers GET /v1/lookup/{key} and GET /v1/lookup/?id=HEX.
func showLookup(x *exchange) error {
	values, err := x.query([]string{"id"}, nil)
	if err != nil {
		return err
	}
	found, err := x.lookup(values.Get("id"), values.Has("id"))
	if err != nil {
		return err
	}
	found.Owners, found.Hops = filled(found.Owners), filled(found.Hops)
	return x.json(http.StatusOK, found)
}

func (x *exchange) lookup(text string, byID bool) (Lookup, error) {
	if !byID {
		key, err := decodeKey(x.rest)
		if err != nil {
			return Lookup{}, err
		}
		return x.g.node.LookupKey(x.r.Context(), key)
	}
	if x.rest != "" {
		return Lookup{}, badParameter("a key, %q, and an id were given: one of them is allowed", x.rest)
	}
	id, err := x.g.cfg.Space.Parse(text)
	if err != nil {
		return Lookup{}, badParameter("id: %v", err)
	}
	return x.g.node.LookupID(x.r.Context(), id)
}

// leaveNode answers POST /v1/node/leave.
func leaveNode(x *exchange) error {
	err := x.g.node.Leave(x.r.Context())
	info := x.g.describe()
	switch {
	case err == nil:
		return x.json(http.StatusAccepted, info)
	case errors.Is(err, ErrNotMember) && (info.State == "starting" || info.State == "joining"):
		f := faultOf(err)
		f.Status, f.Retry = http.StatusServiceUnavailable, true // it will be a member
		return f
	}
	return err
}

// showLive answers GET /livez: the process answers requests.
func showLive(x *exchange) error { return x.text(http.StatusOK, "ok\n") }

// showReady answers GET /readyz: with verbose, one line for each check.
func showReady(x *exchange) error {
	values, err := x.query([]string{"verbose"}, nil)
	if err != nil {
		return err
	}
	status, verdict := http.StatusOK, "ok\n"
	var lines strings.Builder
	for _, c := range x.g.ready(x.r.Context()) {
		if c.OK {
			fmt.Fprintf(&lines, "[+] %s ok\n", c.Name)
			continue
		}
		status, verdict = http.StatusServiceUnavailable, "not ready\n"
		fmt.Fprintf(&lines, "[-] %s failed: %s\n", c.Name, c.Why)
	}
	if values.Has("verbose") {
		verdict = lines.String() + verdict
	}
	return x.text(status, verdict)
}

// checkEvery is how often the node's checks are run at most: they cost messages, and
// health checks are answered without limit and without a token.
const checkEvery = time.Second

// readiness is the result of the last checks.
type readiness struct {
	turn   chan struct{} // held by whoever reads or renews it
	checks []Check
	until  time.Time
}

// ready runs the node's checks, or says how the last ones went if that is not long
// ago. Whoever asks meanwhile waits for the same result.
func (g *Gateway) ready(ctx context.Context) []Check {
	r := &g.readiness
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return []Check{{Name: "checks", Why: "they take too long: " + ctx.Err().Error()}}
	}
	if now := time.Now(); now.Before(r.until) {
		return r.checks
	}
	checks := g.node.Ready(ctx)
	if ctx.Err() == nil { // else it is this client's failure
		r.checks, r.until = checks, time.Now().Add(checkEvery)
	}
	return checks
}

func (x *exchange) text(status int, text string) error {
	x.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	x.w.Header().Set("Cache-Control", "no-store")
	x.w.WriteHeader(status)
	if x.r.Method != http.MethodHead {
		_, _ = x.w.Write([]byte(text)) // a client that is gone needs no answer
	}
	return nil
}

// showMetrics answers GET /metrics.
func showMetrics(x *exchange) error {
	promhttp.HandlerFor(x.g.cfg.Registry, promhttp.HandlerOpts{}).ServeHTTP(x.w, x.r)
	return nil
}

// profile answers /debug/pprof/.
func profile(x *exchange) error {
	x.deadline(5 * time.Minute) // a profile takes as long as it is asked to
	switch x.rest {
	case "cmdline":
		pprof.Cmdline(x.w, x.r)
	case "profile":
		pprof.Profile(x.w, x.r)
	case "symbol":
		pprof.Symbol(x.w, x.r)
	case "trace":
		pprof.Trace(x.w, x.r)
	default:
		pprof.Index(x.w, x.r)
	}
	return nil
}

// showIndex answers GET /.
func showIndex(x *exchange) error {
	info := x.g.node.Describe()
	h := x.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'")
	h.Set("Cache-Control", "no-store")
	x.w.WriteHeader(http.StatusOK)
	if x.r.Method != http.MethodHead {
		_, _ = fmt.Fprintf(x.w, indexPage, html.EscapeString(info.ID), html.EscapeString(info.Cluster),
			html.EscapeString(info.Algorithm), html.EscapeString(info.State))
	}
	return nil
}

const indexPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>dyschord</title>
<h1>dyschord</h1>
<p>Node <code>%s</code> of cluster %s (%s) is %s.</p>
<ul>
<li><a href="/v1/node">/v1/node</a>: this node
<li><a href="/v1/ring">/v1/ring</a>: the whole cluster
<li><a href="/v1/table">/v1/table</a>: this node's routing table
<li><a href="/v1/lookup/greeting">/v1/lookup/greeting</a>: who holds a key, and the way there
<li>/v1/kv/KEY: values (GET, HEAD, PUT, DELETE)
<li><a href="/readyz?verbose">/readyz?verbose</a>, <a href="/livez">/livez</a>, <a href="/metrics">/metrics</a>
</ul>
</html>
`
