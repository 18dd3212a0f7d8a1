package gateway

import (
	"net/http"
	"slices"
	"strings"
)

type handler func(*exchange) error

// route is one resource, or a family of them under a prefix.
type route struct {
	name    string // in metrics
	path    string // ends in / for a family
	methods map[string]handler
	scope   func(*http.Request) Scope
	free    bool // not counted among the requests in flight
	endless bool // no deadline
	admin   bool // on the admin handler alone
}

// routes lists all that there is.
func routes() []*route {
	get := func(h handler) map[string]handler {
		return map[string]handler{http.MethodGet: h, http.MethodHead: h}
	}
	return []*route{
		{name: "kv", path: "/v1/kv/", scope: writing, methods: map[string]handler{
			http.MethodGet: getItem, http.MethodHead: getItem, http.MethodPut: putItem, http.MethodDelete: deleteItem,
		}},
		{name: "list", path: "/v1/kv", scope: reading, methods: get(later("listing keys (GET /v1/kv)"))},
		{name: "batch", path: "/v1/batch", scope: always(Write), methods: map[string]handler{
			http.MethodPost: later("POST /v1/batch"),
		}},
		{name: "watch", path: "/v1/watch", scope: reading, methods: get(later("GET /v1/watch"))},
		{name: "leave", path: "/v1/node/leave", scope: always(Admin), admin: true, methods: map[string]handler{http.MethodPost: leaveNode}},
		{name: "node", path: "/v1/node", scope: reading, methods: get(showNode)},
		{name: "ring", path: "/v1/ring", scope: reading, methods: get(showRing)},
		{name: "table", path: "/v1/table", scope: reading, methods: get(showTable)},
		{name: "lookup", path: "/v1/lookup/", scope: reading, methods: get(showLookup)},
		{name: "livez", path: "/livez", scope: always(0), free: true, methods: get(showLive)},
		{name: "readyz", path: "/readyz", scope: verbosely, free: true, methods: get(showReady)},
		{name: "metrics", path: "/metrics", scope: reading, free: true, methods: get(showMetrics)},
		{name: "pprof", path: "/debug/pprof/", scope: always(Admin), free: true, endless: true, admin: true, methods: map[string]handler{
			http.MethodGet: profile, http.MethodHead: profile, http.MethodPost: profile,
		}},
		{name: "index", path: "/", scope: always(0), methods: get(showIndex)},
	}
}

func always(s Scope) func(*http.Request) Scope { return func(*http.Request) Scope { return s } }

func reading(*http.Request) Scope { return Read }

func writing(r *http.Request) Scope {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return Read
	}
	return Write
}

// verbosely asks for a token where the answer names reasons.
func verbosely(r *http.Request) Scope {
	if _, ok := r.URL.Query()["verbose"]; ok {
		return Read
	}
	return 0
}

// find returns the route for a path, which is still escaped. The match is on exact
// bytes: no path is cleaned, since what follows /v1/kv/ is a key.
func find(table []*route, path string, admin bool) (*route, string) {
	for _, rt := range table {
		family := strings.HasSuffix(rt.path, "/") && rt.path != "/"
		rest, ok := strings.CutPrefix(path, rt.path)
		if !ok || !family && rest != "" || rt.admin && !admin {
			continue
		}
		return rt, rest
	}
	return nowhere(path), ""
}

// nowhere is the route of a path that leads nowhere.
func nowhere(path string) *route {
	return &route{name: "none", path: path, scope: always(0)}
}

// handler returns what serves method.
func (rt *route) handler(method string) (handler, error) {
	if len(rt.methods) == 0 {
		return nil, newFault(http.StatusNotFound, "no_such_route", "no such route",
			"there is nothing at %s on this listener; / lists what there is, and leaving and profiles are on the admin listener", rt.path)
	}
	if h := rt.methods[method]; h != nil {
		return h, nil
	}
	allowed := rt.allowed()
	f := newFault(http.StatusMethodNotAllowed, "method_not_allowed", "method not allowed", "%s allows %s, not %s", rt.path, allowed, method)
	f.allow = allowed
	return nil, f
}

func (rt *route) allowed() string {
	var names []string
	for name := range rt.methods {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func later(what string) handler {
	return func(*exchange) error { return notImplemented(what) }
}
