package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"
)

// fake serves one answer and keeps the requests.
type fake struct {
	*httptest.Server
	mu       sync.Mutex
	requests []string // method, path as it came, body
}

// got returns the requests so far, and forgets them.
func (f *fake) got() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	requests := f.requests
	f.requests = nil
	return requests
}

func fakeGateway(t *testing.T, answer http.HandlerFunc) *fake {
	f := &fake{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.requests = append(f.requests, r.Method+" "+r.URL.EscapedPath()+" "+string(body))
		answer(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func says(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("ETag", `"7"`)
		w.Header().Set("Dyschord-Acks", "2/3")
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func fails(status int, code, outcome string, retryable bool) http.HandlerFunc {
	return says(status, "application/problem+json",
		fmt.Sprintf(`{"title":"t","detail":"detail of %s","status":%d,"code":"%s","outcome":"%s","retryable":%v}`, code, status, code, outcome, retryable))
}

// hangUp takes a request and closes the connection without an answer.
func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// nobody is the URL of a port that nothing listens on.
func nobody(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func TestGetWritesTheValueByteForByte(t *testing.T) {
	value := "a\x00b\r\n\xff"
	g := fakeGateway(t, says(200, "application/octet-stream", value))
	got := dyschord(t, "", "get", "a/ b%\xff?", "--gateway", g.URL)
	if got.code != exitDone || got.stdout != value {
		t.Errorf("%+v", got)
	}
	if want, requests := "GET /v1/kv/a%2F%20b%25%FF%3F ", g.got(); requests[0] != want {
		t.Errorf("request %q, want %q", requests, want)
	}
}

func TestKeysThatLookLikeFoldersArriveWhole(t *testing.T) {
	g := fakeGateway(t, says(200, "", ""))
	for key, want := range map[string]string{".": "%2E", "..": "%2E%2E", "a/../b": "a%2F..%2Fb", "a//b": "a%2F%2Fb", "...": "%2E%2E%2E"} {
		dyschord(t, "", "get", key, "--gateway", g.URL)
		if requests := g.got(); len(requests) != 1 || requests[0] != "GET /v1/kv/"+want+" " {
			t.Errorf("key %q: requests %q", key, requests)
		}
	}
}

func TestPutTakesItsValueFromAnywhere(t *testing.T) {
	file := t.TempDir() + "/value"
	if err := os.WriteFile(file, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"word"}, "word"},
		{[]string{""}, ""},
		{[]string{"-"}, "typed"},
		{nil, "typed"},
		{[]string{"@" + file}, "from a file"},
		{[]string{"@@home"}, "@home"},
	} {
		g := fakeGateway(t, says(201, "", ""))
		got := dyschord(t, "typed", append([]string{"put", "k", "--gateway", g.URL}, c.args...)...)
		if requests := g.got(); got.code != exitDone || requests[0] != "PUT /v1/kv/k "+c.want {
			t.Errorf("put %q: %+v, request %q", c.args, got, requests)
		}
		if !strings.Contains(got.stdout, "on 2 of 3 replicas") || !strings.Contains(got.stdout, "version 7") {
			t.Errorf("put %q says %q", c.args, got.stdout)
		}
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		answer http.HandlerFunc
		args   string
		code   int
		says   string
	}{
		{says(204, "", ""), "put k v", exitDone, ""},
		{says(204, "", ""), "delete k", exitDone, ""},
		{fails(404, "key_not_found", "", false), "get k", exitNotFound, "detail of key_not_found"},
		{fails(404, "no_such_route", "", false), "get k", exitFailed, "detail of no_such_route"},
		{fails(500, "internal", "unknown", false), "get k", exitFailed, "detail of internal"},
		{fails(504, "timeout", "unknown", true), "lookup k", exitFailed, "detail of timeout"},
		{fails(500, "internal", "unknown", false), "delete k", exitUnknown, "detail of internal"},
		{fails(412, "condition", "not_applied", false), "put k v", exitCondition, "detail of condition"},
		{fails(504, "unknown", "unknown", false), "put k v", exitUnknown, "detail of unknown"},
		{fails(503, "unavailable", "not_applied", true), "put k v", exitFailed, "detail of unavailable"},
		{fails(503, "unavailable", "", true), "get k", exitFailed, "detail of unavailable"},
		{fails(413, "too_large", "not_applied", false), "put k v", exitFailed, "detail of too_large"},
		{says(412, "text/html", "<html>"), "get k", exitFailed, "not the answer of a dyschord gateway"},
		{says(404, "text/plain", "404 page not found"), "put k v", exitFailed, "not the answer of a dyschord gateway"},
		{says(404, "text/plain", "404 page not found"), "get k", exitFailed, "not the answer of a dyschord gateway"},
		{says(502, "text/html", "<html>"), "put k v", exitUnknown, "not the answer of a dyschord gateway"},
		{hangUp, "put k v", exitUnknown, "read the key before you repeat it"},
		{hangUp, "get k", exitFailed, "try again"},
		{says(200, "", "not json"), "status", exitFailed, "check --gateway"},
	} {
		g := fakeGateway(t, c.answer)
		got := dyschord(t, "", append(strings.Fields(c.args), "--gateway", g.URL)...)
		if got.code != c.code || !strings.Contains(got.stderr, c.says) {
			t.Errorf("%s: %+v, want exit code %d and %q", c.args, got, c.code, c.says)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	for args, want := range map[string]string{
		"put":                              "dyschord put --help",
		"get a b":                          "dyschord get --help",
		"get --jsn k":                      "unknown flag: --jsn",
		"pug":                              `unknown command "pug"`,
		"get k --gateway 127.0.0.1:80":     "http://HOST:PORT",
		"get k --gateway http://h/v1":      "http://HOST:PORT",
		"get k --timeout 0s":               "more than 0s",
		"put k @/none/such":                "no such file",
		"leave":                            "--admin",
		"get " + strings.Repeat("k", 1025): "1 to 1024",
		"config prnt":                      `"prnt"`,
		"status now":                       "dyschord status --help",
	} {
		if got := dyschord(t, "", strings.Fields(args)...); got.code != exitUsage || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: %+v, want exit code %d and %q", args, got, exitUsage, want)
		}
	}
	if got := dyschord(t, "", "get", ""); got.code != exitUsage {
		t.Errorf("empty key: %+v", got)
	}
}

func TestReadsFailOverAndWritesOnlyWhenNothingWasSent(t *testing.T) {
	good := func() *fake { return fakeGateway(t, says(200, "", "value")) }
	for _, c := range []struct {
		name, args string
		first      http.HandlerFunc // nil: nothing listens
		code, used int              // used: requests at the second gateway
	}{
		{"nobody listens, read", "get k", nil, exitDone, 1},
		{"nobody listens, write", "put k v", nil, exitDone, 1},
		{"connection lost, read", "get k", hangUp, exitDone, 1},
		{"connection lost, write", "put k v", hangUp, exitUnknown, 0},
		{"unavailable, read", "get k", fails(503, "unavailable", "", true), exitDone, 1},
		{"leaving, write", "put k v", fails(503, "leaving", "not_applied", true), exitDone, 1},
		{"unknown, write", "put k v", fails(504, "unknown", "unknown", false), exitUnknown, 0},
		{"unknown though worth a retry, write", "put k v", fails(504, "unknown", "unknown", true), exitUnknown, 0},
		{"not found", "get k", fails(404, "key_not_found", "", false), exitNotFound, 0},
	} {
		first, second := nobody(t), good()
		if c.first != nil {
			first = fakeGateway(t, c.first).URL
		}
		t.Setenv("DYSCHORD_GATEWAY", first+","+second.URL)
		got := dyschord(t, "", strings.Fields(c.args)...)
		if used := len(second.got()); got.code != c.code || used != c.used {
			t.Errorf("%s: %+v, %d requests at the second gateway; want code %d, %d", c.name, got, used, c.code, c.used)
		}
	}
}

func TestAllGatewaysGone(t *testing.T) {
	a, b := nobody(t), nobody(t)
	got := dyschord(t, "", "get", "k", "--gateway", a, "--gateway", b)
	if got.code != exitFailed || !strings.Contains(got.stderr, a) || !strings.Contains(got.stderr, b) {
		t.Errorf("%+v", got)
	}
}

func TestTokenIsSent(t *testing.T) {
	g := fakeGateway(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Header.Get("Authorization")) })
	t.Setenv("DYSCHORD_TOKEN", "from-env")
	if sent := dyschord(t, "", "get", "k", "--gateway", g.URL).stdout; sent != "Bearer from-env" {
		t.Errorf("Authorization: %q", sent)
	}
	if sent := dyschord(t, "", "get", "k", "--gateway", g.URL, "--token", "t").stdout; sent != "Bearer t" {
		t.Errorf("Authorization: %q", sent)
	}
}

const ringOf2 = `{"members":[{"id":"0a","peer_id":"P1","multiaddrs":["/ip4/127.0.0.1/tcp/1"],"state":"up"},{"id":"0b","peer_id":"P2","multiaddrs":[],"state":"%s"}],
"slots":[{"slot":0,"epoch":1,"state":"active","members":["P1","P2"]},{"slot":1,"epoch":1,"state":"%s","members":["P1"]}],"under_replicated_slots":%d,"complete":%v}`

func TestStatusIsHealthyOnlyIfEverySlotIs(t *testing.T) {
	for _, c := range []struct {
		state    string
		under    int
		complete bool
		code     int
		says     string
	}{
		{"healthy", 0, true, exitDone, "cluster: healthy\n"},
		{"under-replicated", 1, true, exitFailed, "not healthy: 1 slot of 2 without all copies in service"},
		{"healthy", 0, false, exitDone, "cluster: healthy: every slot has its copies, though 1 member does not answer"},
	} {
		second := "up"
		if !c.complete {
			second = "down"
		}
		body := fmt.Sprintf(ringOf2, second, c.state, c.under, c.complete)
		g := fakeGateway(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v1/ring" {
				says(200, "application/json", body)(w, r)
			} else {
				fails(503, "unavailable", "", true)(w, r)
			}
		})
		got := dyschord(t, "", "status", "--gateway", g.URL)
		if got.code != c.code || !strings.Contains(got.stdout, c.says) {
			t.Errorf("%+v, want code %d and %q", got, c.code, c.says)
		}
		if raw := dyschord(t, "", "status", "--json", "--gateway", g.URL); raw.stdout != body+"\n" || raw.code != c.code {
			t.Errorf("--json: %+v", raw)
		}
	}
}

func TestStatusWaitsUntilHealthy(t *testing.T) {
	asked := 0 // guarded by the fake
	g := fakeGateway(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/ring" {
			asked++
		}
		says(200, "application/json", fmt.Sprintf(ringOf2, "up", "healthy", max(0, 3-asked), true))(w, r)
	})
	got := dyschord(t, "", "status", "--wait", "1m", "--gateway", g.URL)
	if requests := g.got(); got.code != exitDone || len(requests) != 4 { // one for the name of the cluster
		t.Errorf("%+v after the requests %q", got, requests)
	}
}

func TestWhatWasDoneForPrograms(t *testing.T) {
	left := func(w http.ResponseWriter, r *http.Request) {
		says(200, "application/json", `{"id":"0a","state":"left","peer_id":"P"}`)(w, r)
	}
	for args, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"put k val": {says(201, "", ""), `{"key":"k","version":7,"created":true,"size":3,"acks":"2/3"}`},
		"delete k":  {says(204, "", ""), `{"key":"k","acks":"2/3"}`},
		"leave":     {left, `{"id":"0a","state":"left"}`},
	} {
		g := fakeGateway(t, c.answer)
		at := "--gateway"
		if args == "leave" {
			at = "--admin"
		}
		got := dyschord(t, "", append(strings.Fields(args), "--json", at, g.URL)...)
		var line bytes.Buffer
		if err := json.Compact(&line, []byte(got.stdout)); err != nil || line.String() != c.want || got.code != exitDone {
			t.Errorf("%s --json: %+v, want %s", args, got, c.want)
		}
	}
}

func TestTheLongestValueIsReadInBase64(t *testing.T) {
	body := `{"value":"` + base64.StdEncoding.EncodeToString(make([]byte, maxValue)) + `"}`
	g := fakeGateway(t, says(200, "application/json", body))
	if got := dyschord(t, "", "get", "k", "--json", "--gateway", g.URL); got.code != exitDone || got.stdout != body {
		t.Errorf("exit code %d, %d bytes of %d: %s", got.code, len(got.stdout), len(body), got.stderr)
	}
	if got := dyschord(t, strings.Repeat("v", maxValue+1), "put", "k", "--gateway", g.URL); got.code != exitUsage || !strings.Contains(got.stderr, "16 MiB") {
		t.Errorf("one byte more: %+v", got)
	}
	if got := dyschord(t, "", "config", "print", "--max-value", "16777217"); got.code != exitUsage || !strings.Contains(got.stderr, "1 to 16777216 is allowed") {
		t.Errorf("one byte more: %+v", got)
	}
}

func TestALeaveThatIsRefusedIsAFailure(t *testing.T) {
	for code, answer := range map[string]http.HandlerFunc{
		"no_such_route": fails(404, "no_such_route", "", false),
		"not_member":    fails(409, "not_member", "", false),
		"foreign":       says(404, "text/plain", "404 page not found"),
	} {
		g := fakeGateway(t, answer)
		if got := dyschord(t, "", "leave", "--admin", g.URL); got.code != exitFailed || !strings.Contains(got.stderr, code) {
			t.Errorf("%s: %+v", code, got)
		}
	}
}

func TestLeaveWaitsUntilTheNodeHasLeft(t *testing.T) {
	for _, c := range []struct {
		states string
		code   int
	}{
		{"leaving leaving left", exitDone},
		{"leaving ready", exitFailed},
		{"leaving", exitUnknown},
	} {
		states := strings.Fields(c.states)
		g := fakeGateway(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				w.WriteHeader(http.StatusAccepted)
				return
			}
			if len(states) == 0 {
				hangUp(w, r)
			}
			fmt.Fprintf(w, `{"state":%q,"detail":"no room elsewhere"}`, states[0])
			states = states[1:]
		})
		got := dyschord(t, "", "leave", "--admin", g.URL)
		if c.code == exitFailed && !strings.Contains(got.stderr, "no room elsewhere") {
			t.Errorf("the reason is missing: %s", got.stderr)
		}
		if requests := g.got(); got.code != c.code || requests[0] != "POST /v1/node/leave " {
			t.Errorf("%s: %+v, requests %q", c.states, got, requests)
		}
	}
}

func TestEveryCommandHasAnExample(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Example == "" || c.Short == "" || c.RunE == nil {
			t.Errorf("%s lacks an example, a description or RunE", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(rootCommand())
}

func TestShellCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := dyschord(t, "", "completion", shell); got.code != exitDone || !strings.Contains(got.stdout, "dyschord") {
			t.Errorf("%s: %+v", shell, got)
		}
	}
}

func TestCompletionKnowsWhatIsAllowed(t *testing.T) {
	got := dyschord(t, "", "__complete", "node", "--hash", "")
	if !strings.HasPrefix(got.stdout, "sha256\ntrivial\n") {
		t.Errorf("%+v", got)
	}
}
