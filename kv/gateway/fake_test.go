package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"dyschord/dht"
	"dyschord/kv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a node made of a map.
type fake struct {
	mu      sync.Mutex
	items   map[string]kv.Item
	version uint64
	err     error                     // what every operation ends with
	acks    int                       // got by writes that fail
	hold    func(ctx context.Context) // called by every operation
	checks  []Check
	checked int
	left    int
	looked  string
	state   string // ready if empty
}

func newFake() *fake { return &fake{items: map[string]kv.Item{}} }

// set changes the fake while requests may be running.
func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

var at = Access{Owner: "12D3KooWOwner", Hops: 2}

func (f *fake) enter(ctx context.Context) error {
	f.mu.Lock()
	hold, err := f.hold, f.err
	f.mu.Unlock()
	if hold != nil {
		hold(ctx)
	}
	return err
}

func (f *fake) Get(ctx context.Context, key []byte) (kv.Item, Access, error) {
	if err := f.enter(ctx); err != nil {
		return kv.Item{}, Access{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	item, ok := f.items[string(key)]
	if !ok {
		return kv.Item{}, at, kv.ErrNotFound
	}
	return item, at, nil
}

func (f *fake) Put(ctx context.Context, key []byte, p kv.Put) (kv.Written, Access, error) {
	if err := f.enter(ctx); err != nil {
		return kv.Written{Acks: f.acks}, at, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	_, existed := f.items[string(key)]
	f.version++
	f.items[string(key)] = kv.Item{
		Value: bytes.Clone(p.Value), Type: p.Type, Version: f.version,
		Modified: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	return kv.Written{Version: f.version, Existed: existed, Acks: 2, Replicas: 3}, at, nil
}

func (f *fake) Delete(ctx context.Context, key []byte) (kv.Written, Access, error) {
	if err := f.enter(ctx); err != nil {
		return kv.Written{}, at, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	_, existed := f.items[string(key)]
	delete(f.items, string(key))
	f.version++
	return kv.Written{Version: f.version, Existed: existed, Acks: 3, Replicas: 3}, at, nil
}

func (f *fake) LookupKey(ctx context.Context, key []byte) (Lookup, error) {
	f.looked = "key " + string(key)
	return Lookup{
		KeyID: "ab", Slot: 7, SlotID: "a0", Owners: []Owner{{"b1", "12D3A"}},
		Hops: []Hop{{"b1", "12D3A", Duration(1234567 * time.Nanosecond), "finger 3"}}, Messages: 4, Timeouts: 1, Took: Duration(2 * time.Millisecond),
	}, f.enter(ctx)
}

func (f *fake) LookupID(ctx context.Context, id dht.ID) (Lookup, error) {
	f.looked = "id " + id.String()
	return Lookup{}, f.enter(ctx)
}

func (f *fake) Ring(ctx context.Context) (Ring, error) {
	return Ring{Members: []Member{{ID: "b1", PeerID: "12D3A", State: "ready"}}, Slots: []Slot{{Slot: 1, Epoch: 2, State: "active"}}}, f.enter(ctx)
}

func (f *fake) Table(ctx context.Context) (Table, error) {
	return Table{Algorithm: "chord", Sections: []Section{{Name: "successors"}}}, f.enter(ctx)
}

func (f *fake) Describe() NodeInfo {
	f.mu.Lock()
	defer f.mu.Unlock()
	state := f.state
	if state == "" {
		state = "ready"
	}
	return NodeInfo{ID: "<b1>", PeerID: "12D3A", Cluster: "c", Algorithm: "chord", State: state, Started: time.Now().Add(-time.Minute)}
}

func (f *fake) Ready(context.Context) []Check {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.checked++
	return f.checks
}

func (f *fake) Leave(context.Context) error { f.left++; return f.err }

// start serves a gateway over real HTTP.
func start(t *testing.T, cfg Config, f *fake) *httptest.Server {
	t.Helper()
	return startHandler(t, cfg, f, (*Gateway).Public)
}

func startHandler(t *testing.T, cfg Config, f *fake, which func(*Gateway) http.Handler) *httptest.Server {
	t.Helper()
	g, err := New(cfg, f)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(nil)
	s.Config = g.Server(which(g))
	s.Start()
	s.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t.Cleanup(s.Close)
	return s
}

// reply is an answer, read to its end.
type reply struct {
	*http.Response
	body []byte
}

// send sends a request; headers are name, value, name, value.
func send(t *testing.T, s *httptest.Server, method, path string, body []byte, headers ...string) reply {
	t.Helper()
	var from io.Reader
	if body != nil {
		from = bytes.NewReader(body)
	}
	r, err := http.NewRequest(method, s.URL+path, from)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return do(t, s, r)
}

func do(t *testing.T, s *httptest.Server, r *http.Request) reply {
	t.Helper()
	answer, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return reply{answer, data}
}

// wantProblem checks an error answer, and returns it.
func (r reply) wantProblem(t *testing.T, status int, code string) problem {
	t.Helper()
	var p problem
	if r.StatusCode != status || r.Header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("status %d, %s: %s; should be the problem %d %s", r.StatusCode, r.Header.Get("Content-Type"), r.body, status, code)
	}
	if err := json.Unmarshal(r.body, &p); err != nil {
		t.Fatalf("%s: %v", r.body, err)
	}
	if p.Code != code || p.Status != status || p.RequestID == "" || p.RequestID != r.Header.Get("X-Request-Id") || p.Title == "" || p.Detail == "" {
		t.Fatalf("problem is %s; should have code %s, status %d, title, detail and request id %s", r.body, code, status, r.Header.Get("X-Request-Id"))
	}
	return p
}

func (r reply) want(t *testing.T, status int) reply {
	t.Helper()
	if r.StatusCode != status {
		t.Fatalf("status %d: %s; should be %d", r.StatusCode, r.body, status)
	}
	return r
}
