package gateway

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A body-less POST needs no leave of CORS: the browser just sends it.
func TestPagesOfOtherOriginsChangeNothing(t *testing.T) {
	for name, test := range map[string]struct {
		cors    string
		method  string
		path    string
		headers []string
		want    int
	}{
		"no browser":                         {"", "POST", "/v1/node/leave", nil, 202},
		"typed into the address bar":         {"", "POST", "/v1/node/leave", []string{"Sec-Fetch-Site", "none"}, 202},
		"a page of its own":                  {"", "POST", "/v1/node/leave", []string{"Sec-Fetch-Site", "same-origin"}, 202},
		"another site":                       {"", "POST", "/v1/node/leave", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403},
		"another site, an old browser":       {"", "POST", "/v1/node/leave", []string{"Origin", "https://evil.example"}, 403},
		"a sandboxed page":                   {"", "POST", "/v1/node/leave", []string{"Origin", "null"}, 403},
		"another port of this machine":       {"", "POST", "/v1/node/leave", []string{"Sec-Fetch-Site", "same-site", "Origin", "http://127.0.0.1:1"}, 403},
		"CORS is not for operators":          {"https://a.example", "POST", "/v1/node/leave", []string{"Origin", "https://a.example"}, 403},
		"not even all of it":                 {"*", "POST", "/v1/node/leave", []string{"Origin", "https://a.example"}, 403},
		"a write":                            {"", "PUT", "/v1/kv/k", []string{"Origin", "https://evil.example"}, 403},
		"a write that CORS allows":           {"https://A.example", "PUT", "/v1/kv/k", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://a.example"}, 201},
		"a write of another than CORS names": {"https://a.example", "PUT", "/v1/kv/k", []string{"Origin", "https://b.example"}, 403},
		"a write that CORS allows to all":    {"*", "PUT", "/v1/kv/k", []string{"Origin", "https://b.example"}, 201},
	} {
		f := newFake()
		s := startHandler(t, Config{CORSOrigin: test.cors}, f, (*Gateway).Admin)
		var body []byte
		if test.method == "PUT" {
			body = []byte("v")
		}
		r := send(t, s, test.method, test.path, body, test.headers...)
		if r.StatusCode != test.want {
			t.Errorf("%s: status %d: %s; want %d", name, r.StatusCode, r.body, test.want)
			continue
		}
		if test.want == 403 {
			if p := r.wantProblem(t, 403, "cross_origin"); (p.Outcome == notApplied) != (test.method == "PUT") {
				t.Errorf("%s: %+v", name, p)
			}
			if f.left+len(f.items) > 0 {
				t.Errorf("%s: it was carried out", name)
			}
		}
	}
	if _, err := New(Config{CORSOrigin: "a.example"}, newFake()); err == nil || !strings.Contains(err.Error(), `CORSOrigin is "a.example"`) {
		t.Errorf("an origin without a scheme: %v", err)
	}
}

// A page whose name resolves to this machine is of the gateway's own origin.
func TestOtherNamesAreRefusedOnLoopback(t *testing.T) {
	f := newFake()
	s := start(t, Config{}, f)
	ask := func(s *httptest.Server, method, host string, headers ...string) reply {
		r, err := http.NewRequest(method, s.URL+"/v1/kv/k", strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		r.Host = host
		return do(t, s, r)
	}
	for _, host := range []string{"evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example", "notlocalhost", "[::1].evil.example"} {
		ask(s, http.MethodGet, host).wantProblem(t, 421, "misdirected_request")
		if p := ask(s, http.MethodPut, host).wantProblem(t, 421, "misdirected_request"); p.Outcome != notApplied || len(f.items) > 0 {
			t.Errorf("a write to %s: %+v", host, p)
		}
	}
	for _, host := range []string{"localhost", "LOCALHOST:8080", "localhost.", "node.localhost:1", "127.0.0.1", "127.8.8.8:80", "[::1]", "[::1]:80"} {
		ask(s, http.MethodGet, host).want(t, 404)
	}
	if answer := raw(t, s, "GET /livez HTTP/1.0\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.0 200") {
		t.Errorf("without a host: %s", answer)
	}

	guarded := start(t, Config{Tokens: []Token{{"0123456789abcdef", Admin}}}, newFake())
	ask(guarded, http.MethodGet, "evil.example").wantProblem(t, 401, "unauthorized")
	ask(guarded, http.MethodGet, "kv.example", "Authorization", "Bearer 0123456789abcdef").want(t, 404)

	g, err := New(Config{}, newFake())
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder() // as on a listener that others reach
	r := httptest.NewRequest(http.MethodGet, "http://kv.example/v1/kv/k", nil)
	if g.Public().ServeHTTP(w, r); w.Code != 404 {
		t.Errorf("a name on a listener for all: %d", w.Code)
	}
}
