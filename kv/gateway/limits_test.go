package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"dyschord/kv"
)

func TestSizeOfValues(t *testing.T) {
	f := newFake()
	s := start(t, Config{MaxValue: 1000, BodyTimeout: time.Second}, f)
	send(t, s, http.MethodPut, "/v1/kv/k", make([]byte, 1000)).want(t, 201)
	send(t, s, http.MethodPut, "/v1/kv/k", make([]byte, 1001)).wantProblem(t, 413, "value_too_large")
	chunked := func(n int) reply {
		r, err := http.NewRequest(http.MethodPut, s.URL+"/v1/kv/c", io.LimitReader(zeros{}, int64(n)))
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = -1
		return do(t, s, r)
	}
	chunked(1000).want(t, 201)
	p := chunked(1001).wantProblem(t, 413, "value_too_large")
	if p.Outcome != notApplied || len(f.items["c"].Value) != 1000 {
		t.Errorf("%+v; stored %d bytes", p, len(f.items["c"].Value))
	}
	answer := raw(t, s, "PUT /v1/kv/k HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 411") || !strings.Contains(answer, "length_required") {
		t.Errorf("without a length: %s", answer)
	}
	answer = raw(t, s, "PUT /v1/kv/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 413") || strings.Contains(answer, "100 Continue") {
		t.Errorf("too long with 100-continue: %s", answer)
	}
	answer = raw(t, s, "PUT /v1/kv/k HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 400") {
		t.Errorf("broken chunks: %s", answer)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestSlowBodyIsGivenUp(t *testing.T) {
	s := start(t, Config{BodyTimeout: 50 * time.Millisecond}, newFake())
	answer := raw(t, s, "PUT /v1/kv/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf")
	if !strings.HasPrefix(answer, "HTTP/1.1 408") || !strings.Contains(answer, "request_timeout") || !strings.Contains(answer, notApplied) {
		t.Errorf("answer is %s", answer)
	}
}

func TestSlowHeaderIsGivenUp(t *testing.T) {
	s := start(t, Config{HeaderTimeout: 50 * time.Millisecond}, newFake())
	if answer := raw(t, s, "GET /livez HTTP/1.1\r\nHost: "); strings.Contains(answer, "200") {
		t.Errorf("answer is %s", answer)
	}
}

func TestIdleConnectionIsClosed(t *testing.T) {
	s := start(t, Config{IdleTimeout: 50 * time.Millisecond}, newFake())
	if answer := raw(t, s, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 200") {
		t.Errorf("answer is %s", answer)
	}
}

// A client that does not take its answer: its connection ends, and its place among
// the requests in flight is free again.
func TestSlowReaderIsGivenUp(t *testing.T) {
	f := newFake()
	f.items["big"] = kv.Item{Value: make([]byte, 64<<20), Version: 1}
	entered := make(chan struct{}, 1)
	f.hold = func(context.Context) { entered <- struct{}{} }
	s := start(t, Config{WriteTimeout: 50 * time.Millisecond, MaxInFlight: 1}, f)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /v1/kv/big HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-entered // the only place is taken, until the reader has all or is given up
	await(t, "the place is free again", func() bool { return send(t, s, http.MethodHead, "/v1/node", nil).StatusCode == 200 })
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func TestRequestsInFlightAreBounded(t *testing.T) {
	f := newFake()
	entered, release := make(chan struct{}, 2), make(chan struct{})
	f.hold = func(context.Context) { entered <- struct{}{}; <-release }
	f.checks = []Check{{Name: "joined", OK: true}}
	s := start(t, Config{MaxInFlight: 2}, f)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { send(t, s, http.MethodGet, "/v1/kv/k", nil).want(t, 404) })
	}
	<-entered
	<-entered
	for range 3 {
		r := send(t, s, http.MethodGet, "/v1/kv/k", nil)
		if p := r.wantProblem(t, 429, "too_many_requests"); !p.Retryable || r.Header.Get("Retry-After") != "1" {
			t.Errorf("%s, %v", r.body, r.Header)
		}
	}
	if p := send(t, s, http.MethodPut, "/v1/kv/k", []byte("v")).wantProblem(t, 429, "too_many_requests"); p.Outcome != notApplied || p.Acks == nil {
		t.Errorf("a write that was turned away: %+v", p)
	}
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		send(t, s, http.MethodGet, path, nil).want(t, 200)
	}
	close(release)
	wg.Wait()
	f.set(func() { f.hold = nil })
	send(t, s, http.MethodGet, "/v1/kv/k", nil).want(t, 404)
}

func TestBodiesInFlightAreBounded(t *testing.T) {
	f := newFake()
	entered, release := make(chan struct{}), make(chan struct{})
	f.hold = func(context.Context) { entered <- struct{}{}; <-release }
	s := start(t, Config{MaxValue: 1000, MaxBodyBytes: 1500}, f)
	var wg sync.WaitGroup
	wg.Go(func() { send(t, s, http.MethodPut, "/v1/kv/k", make([]byte, 1000)).want(t, 201) })
	<-entered
	send(t, s, http.MethodPut, "/v1/kv/k", make([]byte, 501)).wantProblem(t, 429, "too_many_requests")
	wg.Go(func() { send(t, s, http.MethodPut, "/v1/kv/l", make([]byte, 500)).want(t, 201) })
	<-entered
	close(release)
	wg.Wait()
	f.set(func() { f.hold = nil })
	send(t, s, http.MethodPut, "/v1/kv/m", make([]byte, 1000)).want(t, 201)
}

func TestOperationsEndInTime(t *testing.T) {
	f := newFake()
	f.err = context.DeadlineExceeded
	f.hold = func(ctx context.Context) { <-ctx.Done() }
	s := start(t, Config{Timeout: 20 * time.Millisecond}, f)
	send(t, s, http.MethodGet, "/v1/kv/k", nil).wantProblem(t, 504, "timeout")
	p := send(t, s, http.MethodPut, "/v1/kv/k", []byte("v")).wantProblem(t, 504, "timeout")
	if p.Outcome != unknown || p.Retryable {
		t.Errorf("a write that took too long: %+v", p)
	}
}

func TestTokens(t *testing.T) {
	secrets := map[Scope]string{Read: "read-0123456789abcdef", Write: "write-0123456789abcdef", Admin: "admin-0123456789abcdef"}
	cfg := Config{}
	for _, scope := range []Scope{Admin, Read, Write} {
		cfg.Tokens = append(cfg.Tokens, Token{secrets[scope], scope})
	}
	f := newFake()
	f.checks = []Check{{Name: "joined", OK: true}}
	s := startHandler(t, cfg, f, (*Gateway).Admin)
	tests := []struct {
		method, path string
		need         Scope
	}{
		{"GET", "/livez", 0},
		{"GET", "/readyz", 0},
		{"GET", "/", 0},
		{"GET", "/nowhere", 0},
		{"GET", "/readyz?verbose", Read},
		{"GET", "/metrics", Read},
		{"GET", "/v1/node", Read},
		{"GET", "/v1/ring", Read},
		{"GET", "/v1/table", Read},
		{"GET", "/v1/lookup/k", Read},
		{"GET", "/v1/kv/k", Read},
		{"HEAD", "/v1/kv/k", Read},
		{"PUT", "/v1/kv/k", Write},
		{"DELETE", "/v1/kv/k", Write},
		{"POST", "/v1/batch", Write},
		{"POST", "/v1/node/leave", Admin},
		{"GET", "/debug/pprof/", Admin},
	}
	for _, test := range tests {
		body := []byte("v")
		if test.method == "GET" || test.method == "HEAD" {
			body = nil
		}
		for _, has := range []Scope{0, Read, Write, Admin} {
			var headers []string
			if has > 0 {
				headers = []string{"Authorization", "Bearer " + secrets[has]}
			}
			r := send(t, s, test.method, test.path, body, headers...)
			want := 0
			if has < test.need {
				want = http.StatusForbidden
				if has == 0 {
					want = http.StatusUnauthorized
				}
			}
			refused := 0
			if r.StatusCode == 401 || r.StatusCode == 403 {
				refused = r.StatusCode
			}
			if refused != want || want == 401 && r.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s %s with scope %v: %d %s", test.method, test.path, has, r.StatusCode, r.body)
			}
		}
	}
	for _, header := range []string{"Bearer wrong-0123456789abcdef", "Bearer ", "Basic " + secrets[Admin], secrets[Admin], "Bearer " + secrets[Admin][:20]} {
		send(t, s, http.MethodGet, "/v1/node", nil, "Authorization", header).wantProblem(t, 401, "unauthorized")
	}
	send(t, s, http.MethodGet, "/v1/node", nil, "Authorization", "bearer "+secrets[Read]).want(t, 200)
	if p := send(t, s, http.MethodPut, "/v1/kv/k", []byte("v"), "Authorization", "Bearer "+secrets[Read]).wantProblem(t, 403, "forbidden"); p.Outcome != notApplied {
		t.Errorf("a write that was forbidden: %+v", p)
	}
}

func TestCORS(t *testing.T) {
	off := start(t, Config{}, newFake())
	preflight := []string{"Origin", "https://a.example", "Access-Control-Request-Method", "PUT"}
	if r := send(t, off, http.MethodOptions, "/v1/kv/k", nil, preflight...).want(t, 405); r.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("CORS is on: %v", r.Header)
	}
	on := start(t, Config{CORSOrigin: "https://a.example", Tokens: []Token{{"0123456789abcdef", Admin}}}, newFake())
	r := send(t, on, http.MethodOptions, "/v1/kv/k", nil, preflight...).want(t, 204)
	if r.Header.Get("Access-Control-Allow-Origin") != "https://a.example" || !strings.Contains(r.Header.Get("Access-Control-Allow-Methods"), "PUT") {
		t.Errorf("preflight: %v", r.Header)
	}
	r = send(t, on, http.MethodGet, "/v1/kv/k", nil, "Origin", "https://a.example", "Authorization", "Bearer 0123456789abcdef").want(t, 404)
	if r.Header.Get("Access-Control-Allow-Origin") == "" || !strings.Contains(r.Header.Get("Access-Control-Expose-Headers"), "ETag") || r.Header.Get("Vary") != "Origin" {
		t.Errorf("request: %v", r.Header)
	}
	r = send(t, on, http.MethodGet, "/livez", nil, "Origin", "https://b.example").want(t, 200)
	if r.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another origin is let in: %v", r.Header)
	}
}

func TestRequestIDs(t *testing.T) {
	s := start(t, Config{}, newFake())
	if r := send(t, s, http.MethodGet, "/livez", nil, "X-Request-Id", "abc-1_2.3"); r.Header.Get("X-Request-Id") != "abc-1_2.3" {
		t.Errorf("the client's id became %q", r.Header.Get("X-Request-Id"))
	}
	seen := map[string]bool{}
	for _, id := range []string{"", "with space", "<script>", strings.Repeat("x", 65), "a\tb"} {
		got := send(t, s, http.MethodGet, "/livez", nil, "X-Request-Id", id).Header.Get("X-Request-Id")
		if len(got) != 16 || seen[got] {
			t.Errorf("id %q became %q", id, got)
		}
		seen[got] = true
	}
}

func TestRequestLogAndPanics(t *testing.T) {
	var out bytes.Buffer
	var mu sync.Mutex
	log := slog.New(slog.NewTextHandler(writer(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return out.Write(p)
	}), nil))
	f := newFake()
	g, err := New(Config{Log: log, LogRequests: true}, f)
	if err != nil {
		t.Fatal(err)
	}
	f.hold = func(context.Context) { panic("planted") }
	w := httptest.NewRecorder()
	g.Public().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/kv/k", nil))
	if w.Code != 500 || !strings.Contains(w.Body.String(), `"code":"internal"`) || strings.Contains(w.Body.String(), "planted") {
		t.Errorf("a panic became %d %s", w.Code, w.Body)
	}
	if strings.Contains(w.Body.String(), "outcome") {
		t.Errorf("a read has no outcome: %s", w.Body)
	}
	w = httptest.NewRecorder()
	g.Public().ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/v1/kv/k", strings.NewReader("v")))
	if w.Code != 500 || !strings.Contains(w.Body.String(), `"outcome":"unknown"`) {
		t.Errorf("a panic in a write became %d %s", w.Code, w.Body)
	}
	f.set(func() { f.hold = nil })
	w = httptest.NewRecorder()
	g.Public().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/kv/k%0Aforged", nil))
	text := out.String()
	for _, part := range []string{"planted", "stack=", "method=GET path=/v1/kv/k ", "status=500", "path=/v1/kv/k%0Aforged", "status=404", fmt.Sprintf("request=%s", w.Header().Get("X-Request-Id"))} {
		if !strings.Contains(text, part) {
			t.Errorf("log lacks %q: %s", part, text)
		}
	}
	if len(g.inFlight) != 0 {
		t.Error("a panic keeps a place among the requests in flight")
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }
