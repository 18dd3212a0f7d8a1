package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/kv"
)

func TestValueComesBackWithItsMetadata(t *testing.T) {
	s := start(t, Config{}, newFake())
	created := send(t, s, http.MethodPut, "/v1/kv/k", []byte("hello"), "Content-Type", "text/plain; charset=utf-8").want(t, http.StatusCreated)
	replaced := send(t, s, http.MethodPut, "/v1/kv/k", []byte("hello world"), "Content-Type", "text/x").want(t, http.StatusNoContent)
	for r, version := range map[*reply]string{&created: `"1"`, &replaced: `"2"`} {
		h := r.Header
		if h.Get("ETag") != version || h.Get("Dyschord-Acks") != "2/3" || h.Get("Dyschord-Owner") != at.Owner || h.Get("Dyschord-Hops") != "2" {
			t.Errorf("headers of a write: %v", h)
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		r := send(t, s, method, "/v1/kv/k", nil).want(t, http.StatusOK)
		for name, value := range map[string]string{
			"Content-Type": "text/x", "ETag": `"2"`, "Last-Modified": "Fri, 02 Jan 2026 03:04:05 GMT", "Content-Length": "11",
			"Dyschord-Owner": at.Owner, "Dyschord-Hops": "2", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox",
		} {
			if got := r.Header.Get(name); got != value {
				t.Errorf("%s: %s is %q, should be %q", method, name, got, value)
			}
		}
		if want := map[string]string{http.MethodGet: "hello world", http.MethodHead: ""}[method]; string(r.body) != want {
			t.Errorf("%s: body is %q", method, r.body)
		}
	}
	send(t, s, http.MethodPut, "/v1/kv/empty", []byte{}).want(t, http.StatusCreated)
	if r := send(t, s, http.MethodGet, "/v1/kv/empty", nil).want(t, http.StatusOK); len(r.body) != 0 || r.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("empty value without a type: %q, %v", r.body, r.Header)
	}
	for range 2 {
		if r := send(t, s, http.MethodDelete, "/v1/kv/k", nil).want(t, http.StatusNoContent); r.Header.Get("Dyschord-Acks") != "3/3" {
			t.Errorf("headers of a delete: %v", r.Header)
		}
	}
	if r := send(t, s, http.MethodHead, "/v1/kv/k", nil).want(t, http.StatusNotFound); len(r.body) != 0 {
		t.Errorf("HEAD of nothing has a body: %q", r.body)
	}
}

func TestPreconditionsAndRangesOfReads(t *testing.T) {
	s := start(t, Config{}, newFake())
	send(t, s, http.MethodPut, "/v1/kv/k", []byte("0123456789"), "Content-Type", "text/plain").want(t, http.StatusCreated)
	get := func(headers ...string) reply { return send(t, s, http.MethodGet, "/v1/kv/k", nil, headers...) }

	for _, match := range []string{`"1"`, `"7", "1"`, `*`, `W/"1"`} {
		if r := get("If-None-Match", match).want(t, http.StatusNotModified); len(r.body) > 0 || r.Header.Get("ETag") != `"1"` {
			t.Errorf("If-None-Match %s: %q, %v", match, r.body, r.Header)
		}
	}
	get("If-None-Match", `"2"`).want(t, http.StatusOK)
	get("If-Match", `"1"`).want(t, http.StatusOK)
	if r := get("If-Match", `"2"`); r.Header.Get("ETag") != `"1"` {
		t.Errorf("412 carries %v", r.Header)
	} else {
		r.wantProblem(t, http.StatusPreconditionFailed, "precondition_failed")
	}
	for asked, want := range map[string]string{"bytes=2-4": "234", "bytes=-3": "789", "bytes=8-": "89", "bytes=0-99": "0123456789"} {
		r := get("Range", asked).want(t, http.StatusPartialContent)
		if string(r.body) != want || !strings.HasSuffix(r.Header.Get("Content-Range"), "/10") {
			t.Errorf("range %s: %q, %v", asked, r.body, r.Header)
		}
	}
	get("Range", "bytes=2-4", "If-Range", `"1"`).want(t, http.StatusPartialContent)
	get("Range", "bytes=2-4", "If-Range", `"2"`).want(t, http.StatusOK)
	r := get("Range", "bytes=10-")
	r.wantProblem(t, http.StatusRequestedRangeNotSatisfiable, "bad_range")
	if r.Header.Get("Content-Range") != "bytes */10" {
		t.Errorf("416 carries %v", r.Header)
	}
}

func TestEnvelope(t *testing.T) {
	s := start(t, Config{}, newFake())
	send(t, s, http.MethodPut, "/v1/kv/k%FF", []byte{0, 1, 255}, "Content-Type", "image/x").want(t, http.StatusCreated)
	send(t, s, http.MethodPut, "/v1/kv/e", []byte{}).want(t, http.StatusCreated)
	for _, accept := range []string{"application/json", "text/html, application/json;q=0.5", "application/json, */*"} {
		r := send(t, s, http.MethodGet, "/v1/kv/k%FF", nil, "Accept", accept, "Range", "bytes=0-1").want(t, http.StatusOK)
		want := `{"key_base64":"a/8=","value":"AAH/","version":1,"size":3,"content_type":"image/x","modified":"2026-01-02T03:04:05Z","expires":null}`
		if string(r.body) != want || r.Header.Get("Content-Type") != "application/json" || !strings.Contains(r.Header.Get("Vary"), "Accept") {
			t.Errorf("envelope is %s, %v; should be %s", r.body, r.Header, want)
		}
	}
	r := send(t, s, http.MethodGet, "/v1/kv/e", nil, "Accept", "application/json").want(t, http.StatusOK)
	if !strings.Contains(string(r.body), `"key":"e","value":""`) || !strings.Contains(string(r.body), `"content_type":""`) {
		t.Errorf("envelope of an empty value: %s", r.body)
	}
	send(t, s, http.MethodGet, "/v1/kv/e", nil, "Accept", "application/json", "If-None-Match", `"2"`).want(t, http.StatusNotModified)
	for _, accept := range []string{"", "*/*", "application/*", "application/json;q=0", "garbage;;"} {
		if r := send(t, s, http.MethodGet, "/v1/kv/k%FF", nil, "Accept", accept).want(t, http.StatusOK); !bytes.Equal(r.body, []byte{0, 1, 255}) {
			t.Errorf("Accept %q: %q", accept, r.body)
		}
	}
}

func TestErrorsOfTheNode(t *testing.T) {
	tests := []struct {
		err     error
		status  int
		code    string
		retry   bool
		outcome string // of a put
	}{
		{kv.ErrNotFound, 404, "key_not_found", false, notApplied},
		{kv.ErrUnavailable, 503, "unavailable", true, notApplied},
		{kv.ErrUnknown, 504, "outcome_unknown", false, unknown},
		{fmt.Errorf("%w: %w", kv.ErrUnknown, kv.ErrUnavailable), 504, "outcome_unknown", false, unknown},
		{kv.ErrTooLarge, 413, "value_too_large", false, notApplied},
		{kv.ErrFull, 507, "no_room", false, notApplied},
		{kv.ErrOverloaded, 429, "too_many_requests", true, notApplied},
		{kv.ErrLeaving, 503, "leaving", true, notApplied},
		{dht.ErrClosed, 503, "leaving", true, notApplied},
		{dht.ErrBusy, 429, "too_many_requests", true, notApplied},
		{dht.ErrNoRoute, 503, "unavailable", true, notApplied},
		{dht.ErrTimeout, 504, "timeout", true, unknown},
		{context.DeadlineExceeded, 504, "timeout", true, unknown},
		{context.Canceled, 503, "canceled", true, unknown},
		{ErrNotMember, 409, "not_member", false, notApplied},
		{errors.New("surprise"), 500, "internal", false, unknown},
	}
	f := newFake()
	f.acks = 1
	s := start(t, Config{Replicas: 5}, f)
	for _, test := range tests {
		f.set(func() { f.err = fmt.Errorf("kv: op: %w", test.err) })
		r := send(t, s, http.MethodGet, "/v1/kv/k", nil)
		p := r.wantProblem(t, test.status, test.code)
		if p.Retryable != test.retry || p.Type != "urn:dyschord:problem:"+strings.ReplaceAll(test.code, "_", "-") || p.Acks != nil || p.Outcome != "" {
			t.Errorf("%v on a read: %s", test.err, r.body)
		}
		if waits := r.Header.Get("Retry-After") != ""; waits != (test.status == 429 || test.status == 503) {
			t.Errorf("%v: Retry-After is %q", test.err, r.Header.Get("Retry-After"))
		}
		for method, got := range map[string]int{http.MethodPut: 1, http.MethodDelete: 0} {
			p := send(t, s, method, "/v1/kv/k", []byte("v")).wantProblem(t, test.status, test.code)
			if p.Outcome != test.outcome || *p.Acks != (acks{5, got}) || p.Retryable != (test.retry && test.outcome == notApplied) {
				t.Errorf("%v on %s: %+v, acks %v", test.err, method, p, p.Acks)
			}
		}
	}
}

func TestWhatIsNotThereYetIsRefused(t *testing.T) {
	f := newFake()
	s := start(t, Config{}, f)
	refused := []struct {
		method, path string
		headers      []string
		names        string
	}{
		{"GET", "/v1/kv/k?wait=30s", nil, "wait"},
		{"GET", "/v1/kv/k?consistency=any", nil, "consistency"},
		{"PUT", "/v1/kv/k?ttl=30s", nil, "ttl"},
		{"PUT", "/v1/kv/k", []string{"If-None-Match", "*"}, "If-None-Match"},
		{"PUT", "/v1/kv/k", []string{"If-Match", `"1"`}, "If-Match"},
		{"DELETE", "/v1/kv/k", []string{"If-Match", `"1"`}, "If-Match"},
		{"DELETE", "/v1/kv/k", []string{"If-Unmodified-Since", "Fri, 02 Jan 2026 03:04:05 GMT"}, "If-Unmodified-Since"},
		{"GET", "/v1/kv?prefix=a", nil, "GET /v1/kv"},
		{"GET", "/v1/watch?key=a", nil, "watch"},
		{"POST", "/v1/batch", nil, "batch"},
	}
	for _, test := range refused {
		p := send(t, s, test.method, test.path, []byte("v"), test.headers...).wantProblem(t, http.StatusNotImplemented, "not_implemented")
		if !strings.Contains(p.Detail, test.names) || p.Retryable {
			t.Errorf("%s %s: %q does not name %q", test.method, test.path, p.Detail, test.names)
		}
	}
	bad := []struct {
		method, path string
		headers      []string
		status       int
		code         string
	}{
		{"GET", "/v1/kv/k?frob=1", nil, 400, "bad_parameter"},
		{"GET", "/v1/kv/k?a=%zz", nil, 400, "bad_parameter"},
		{"PUT", "/v1/kv/k?frob=1", nil, 400, "bad_parameter"},
		{"PUT", "/v1/kv/k", []string{"Content-Range", "bytes 0-0/1"}, 400, "bad_parameter"},
		{"PUT", "/v1/kv/k", []string{"Content-Encoding", "gzip"}, 415, "unsupported_encoding"},
		{"PUT", "/v1/kv/k", []string{"Content-Type", strings.Repeat("x", 257)}, 400, "bad_parameter"},
		{"GET", "/v1/node?x=1", nil, 400, "bad_parameter"},
		{"GET", "/v1/lookup/?id=", nil, 400, "bad_parameter"},
		{"GET", "/v1/lookup/?id=zz", nil, 400, "bad_parameter"},
		{"GET", "/v1/lookup/k?id=1", nil, 400, "bad_parameter"},
		{"GET", "/v1/lookup/?id=1&id=2", nil, 400, "bad_parameter"},
		{"GET", "/v1/lookup/", nil, 400, "empty_key"},
		{"GET", "/nowhere", nil, 404, "no_such_route"},
		{"GET", "/v1/node/", nil, 404, "no_such_route"},
		{"GET", "/v1//node", nil, 404, "no_such_route"},
		{"POST", "/v1/node/leave", nil, 404, "no_such_route"},
		{"GET", "/debug/pprof/", nil, 404, "no_such_route"},
	}
	for _, test := range bad {
		var body []byte
		if test.method != "GET" {
			body = []byte("v")
		}
		p := send(t, s, test.method, test.path, body, test.headers...).wantProblem(t, test.status, test.code)
		if test.method == "PUT" && p.Outcome != notApplied {
			t.Errorf("%s %s: outcome %q", test.method, test.path, p.Outcome)
		}
	}
	if len(f.items) > 0 || f.left > 0 || f.version > 0 {
		t.Errorf("a refused request was carried out: %v", f.items)
	}
}

func TestMethods(t *testing.T) {
	s := start(t, Config{}, newFake())
	for _, test := range []struct{ method, path, allow string }{
		{"POST", "/v1/kv/k", "DELETE, GET, HEAD, PUT"},
		{"PATCH", "/v1/kv/k", "DELETE, GET, HEAD, PUT"},
		{"OPTIONS", "/v1/kv/k", "DELETE, GET, HEAD, PUT"},
		{"PUT", "/v1/node", "GET, HEAD"},
		{"GET", "/v1/batch", "POST"},
		{"DELETE", "/", "GET, HEAD"},
	} {
		r := send(t, s, test.method, test.path, nil)
		r.wantProblem(t, http.StatusMethodNotAllowed, "method_not_allowed")
		if r.Header.Get("Allow") != test.allow {
			t.Errorf("%s %s: Allow is %q, should be %q", test.method, test.path, r.Header.Get("Allow"), test.allow)
		}
	}
}

func TestLookupViews(t *testing.T) {
	f := newFake()
	s := start(t, Config{Space: dht.Space{Bits: 8}}, f)
	r := send(t, s, http.MethodGet, "/v1/lookup/a%2Fb", nil).want(t, http.StatusOK)
	want := `{"key_id":"ab","slot":7,"slot_id":"a0","owners":[{"id":"b1","peer_id":"12D3A"}],` +
		`"hops":[{"id":"b1","peer_id":"12D3A","latency_ms":1.235,"why":"finger 3"}],"messages":4,"timeouts":1,"took_ms":2}` + "\n"
	if f.looked != "key a/b" || string(r.body) != want {
		t.Errorf("%s: %s; should be %s", f.looked, r.body, want)
	}
	r = send(t, s, http.MethodGet, "/v1/lookup/?id=F0", nil).want(t, http.StatusOK)
	if f.looked != "id "+dht.NewID(0, 0xf0).String() || !strings.Contains(string(r.body), `"owners":[],"hops":[]`) {
		t.Errorf("%s: %s", f.looked, r.body)
	}
	send(t, s, http.MethodGet, "/v1/lookup/?id=100", nil).wantProblem(t, http.StatusBadRequest, "bad_parameter")
}

func TestViews(t *testing.T) {
	f := newFake()
	s := start(t, Config{MaxValue: 1234, MaxInFlight: 9}, f)
	var node map[string]any
	if err := json.Unmarshal(send(t, s, http.MethodGet, "/v1/node", nil).want(t, 200).body, &node); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"id", "peer_id", "multiaddrs", "cluster", "algorithm", "version", "state", "limits", "uptime"} {
		if node[name] == nil {
			t.Errorf("/v1/node has no %s: %v", name, node)
		}
	}
	limits := node["limits"].(map[string]any)
	if limits["value_bytes"] != 1234.0 || limits["in_flight"] != 9.0 || limits["key_bytes"] != 1024.0 || node["uptime"].(float64) < 60 {
		t.Errorf("node is %v", node)
	}
	ring := send(t, s, http.MethodGet, "/v1/ring", nil).want(t, 200)
	want := `{"members":[{"id":"b1","peer_id":"12D3A","multiaddrs":[],"state":"ready"}],"slots":[{"slot":1,"epoch":2,"state":"active","members":[]}],"under_replicated_slots":0,"complete":false}` + "\n"
	if string(ring.body) != want {
		t.Errorf("ring is %s, should be %s", ring.body, want)
	}
	table := send(t, s, http.MethodGet, "/v1/table", nil).want(t, 200)
	if !strings.Contains(string(table.body), `"sections":[{"name":"successors","entries":[]}]`) {
		t.Errorf("table is %s", table.body)
	}
	index := send(t, s, http.MethodGet, "/", nil).want(t, 200)
	if !strings.Contains(string(index.body), "&lt;b1&gt;") || !strings.Contains(string(index.body), "/v1/ring") {
		t.Errorf("index is %s", index.body)
	}
	send(t, s, http.MethodGet, "/v1/kv/k", nil).want(t, 404)
	metrics := send(t, s, http.MethodGet, "/metrics", nil).want(t, 200)
	if !strings.Contains(string(metrics.body), `dyschord_http_request_seconds_count{code="404",method="GET",route="kv"} 1`) {
		t.Errorf("metrics are %s", metrics.body)
	}
	f.set(func() { f.err = kv.ErrUnavailable })
	for _, path := range []string{"/v1/ring", "/v1/table", "/v1/lookup/k"} {
		send(t, s, http.MethodGet, path, nil).wantProblem(t, 503, "unavailable")
	}
}

func TestHealth(t *testing.T) {
	f := newFake()
	f.checks = []Check{{Name: "joined", OK: true}}
	s := start(t, Config{MaxInFlight: 1}, f)
	if r := send(t, s, http.MethodGet, "/readyz", nil).want(t, 200); string(r.body) != "ok\n" {
		t.Errorf("ready says %q", r.body)
	}
	f.set(func() { f.checks = append(f.checks, Check{Name: "lookup", Why: "nobody answers"}) })
	s = start(t, Config{}, f)
	if r := send(t, s, http.MethodGet, "/readyz", nil).want(t, 503); string(r.body) != "not ready\n" {
		t.Errorf("not ready says %q", r.body)
	}
	if r := send(t, s, http.MethodGet, "/readyz?verbose", nil).want(t, 503); string(r.body) != "[+] joined ok\n[-] lookup failed: nobody answers\nnot ready\n" {
		t.Errorf("verbose says %q", r.body)
	}
	send(t, s, http.MethodGet, "/livez", nil).want(t, 200)
}

func TestAdminRoutes(t *testing.T) {
	f := newFake()
	s := startHandler(t, Config{}, f, (*Gateway).Admin)
	if r := send(t, s, http.MethodPost, "/v1/node/leave", nil).want(t, http.StatusAccepted); f.left != 1 || !strings.Contains(string(r.body), `"state"`) {
		t.Errorf("leave: %d times, %s", f.left, r.body)
	}
	send(t, s, http.MethodGet, "/debug/pprof/", nil).want(t, 200)
	send(t, s, http.MethodGet, "/debug/pprof/goroutine?debug=1", nil).want(t, 200)
	send(t, s, http.MethodGet, "/debug/pprof/profile?seconds=1", nil).want(t, 200)
	send(t, s, http.MethodPut, "/v1/kv/k", []byte("v")).want(t, 201)
	f.set(func() { f.err = dht.ErrRejected })
	if p := send(t, s, http.MethodPost, "/v1/node/leave", nil).wantProblem(t, 500, "internal"); p.Outcome != "" {
		t.Errorf("leaving writes no value: %+v", p)
	}
}

// A check costs messages, and health checks are asked for by anybody.
func TestReadinessIsCheckedNowAndThen(t *testing.T) {
	f := newFake()
	f.checks = []Check{{Name: "joined", OK: true}}
	g, err := New(Config{}, f)
	if err != nil {
		t.Fatal(err)
	}
	g.ready(t.Context())
	g.readiness.until = time.Now().Add(time.Hour)
	for range 9 {
		if checks := g.ready(t.Context()); len(checks) != 1 || !checks[0].OK || f.checked != 1 {
			t.Fatalf("checked %d times: %v", f.checked, checks)
		}
	}
	g.readiness.until = time.Now()
	f.checks[0].OK = false
	if checks := g.ready(t.Context()); checks[0].OK || f.checked != 2 || time.Until(g.readiness.until) > checkEvery {
		t.Errorf("checked %d times: %v, until %s", f.checked, checks, g.readiness.until)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	g.readiness.until = time.Now()
	g.ready(gone)
	if !g.readiness.until.Before(time.Now()) {
		t.Error("the checks of a client that went away are kept")
	}
}

func TestLeavingWhatIsNoMember(t *testing.T) {
	f := newFake()
	f.err = fmt.Errorf("leave: %w", ErrNotMember)
	var log bytes.Buffer
	s := startHandler(t, Config{Log: slog.New(slog.NewTextHandler(&log, nil))}, f, (*Gateway).Admin)
	for state, want := range map[string]int{"starting": 503, "joining": 503, "left": 409, "stopped": 409} {
		f.set(func() { f.state = state })
		p := send(t, s, http.MethodPost, "/v1/node/leave", nil).wantProblem(t, want, "not_member")
		if p.Retryable != (want == 503) || p.Outcome != "" {
			t.Errorf("%s: %+v", state, p)
		}
	}
	s.Close()
	if log.Len() > 0 {
		t.Errorf("a refusal is no failure: %s", log.String())
	}
}

func TestSettings(t *testing.T) {
	for want, cfg := range map[string]Config{
		"MaxValue":     {MaxValue: -1},
		"BodyTimeout":  {BodyTimeout: -time.Second},
		"MaxBodyBytes": {MaxBodyBytes: 10},
		"characters":   {Tokens: []Token{{"short", Read}}},
		"scope":        {Tokens: []Token{{"0123456789abcdef", 0}}},
		"width":        {Space: dht.Space{Bits: 3}},
	} {
		if _, err := New(cfg, newFake()); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "short") {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	for _, s := range []Scope{Read, Write, Admin} {
		if got, err := ParseScope(s.String()); got != s || err != nil {
			t.Errorf("%v became %v, %v", s, got, err)
		}
	}
	if _, err := ParseScope("all"); err == nil {
		t.Error("scope all was accepted")
	}
}
