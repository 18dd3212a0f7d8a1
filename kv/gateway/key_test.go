package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestEveryByteStringIsAKey(t *testing.T) {
	f := newFake()
	s := start(t, Config{}, f)
	keys := []string{
		"/", "//", "a//b", "..", ".", "../..", "x/../y", "x/./y", "/leading", "trailing/", "%", "%2F", "%252F", "a b", "a+b", "?", "#", "a?b#c",
		";", "a;b=c", "\xff\xfe", "é", "\x00", "\r\n", "node", "kv/", strings.Repeat("k", 1024), strings.Repeat("\xff", 1024), strings.Repeat("/", 1024),
	}
	for b := range 256 {
		keys = append(keys, string([]byte{byte(b)}), string([]byte{'a', byte(b), 'z'}))
	}
	for i, key := range keys {
		path := "/v1/kv/" + url.PathEscape(key)
		value := fmt.Appendf(nil, "value %d", i)
		f.mu.Lock()
		clear(f.items)
		f.mu.Unlock()
		send(t, s, http.MethodPut, path, value).want(t, http.StatusCreated)
		if _, ok := f.items[key]; !ok || len(f.items) != 1 {
			t.Fatalf("key %q was stored as %v", key, f.items)
		}
		if got := send(t, s, http.MethodGet, path, nil).want(t, http.StatusOK); !bytes.Equal(got.body, value) {
			t.Fatalf("key %q has %q", key, got.body)
		}
		send(t, s, http.MethodDelete, path, nil).want(t, http.StatusNoContent)
		send(t, s, http.MethodGet, path, nil).wantProblem(t, http.StatusNotFound, "key_not_found")
	}
}

// What clients send that do not escape as much as they could.
func TestKeysAsTheyStandInTheRequestLine(t *testing.T) {
	f := newFake()
	s := start(t, Config{}, f)
	for target, key := range map[string]string{
		"/v1/kv/a/b":                "a/b",
		"/v1/kv/a//b":               "a//b",
		"/v1/kv//a":                 "/a",
		"/v1/kv/a/../b":             "a/../b",
		"/v1/kv/..":                 "..",
		"/v1/kv/.":                  ".",
		"/v1/kv/a%2Fb":              "a/b",
		"/v1/kv/a%252Fb":            "a%2Fb",
		"/v1/kv/a%2fb/":             "a/b/",
		"/v1/kv/a+b":                "a+b",
		"/v1/kv/\xc3\xa9":           "é",
		"/v1/kv/a;b":                "a;b",
		"http://localhost/v1/kv/ab": "ab",
	} {
		f.mu.Lock()
		clear(f.items)
		f.mu.Unlock()
		answer := raw(t, s, "PUT "+target+" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nConnection: close\r\n\r\nv")
		if !strings.HasPrefix(answer, "HTTP/1.1 201") {
			t.Errorf("PUT %q: %s", target, answer)
		}
		if _, ok := f.items[key]; !ok || len(f.items) != 1 {
			t.Errorf("PUT %q stored %v, should be %q", target, f.items, key)
		}
	}
}

// raw sends bytes and returns all that comes back until the end of the connection.
func raw(t *testing.T, s *httptest.Server, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(bufio.NewReader(conn))
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func TestKeysThatAreNone(t *testing.T) {
	s := start(t, Config{}, newFake())
	send(t, s, http.MethodGet, "/v1/kv/", nil).wantProblem(t, http.StatusBadRequest, "empty_key")
	send(t, s, http.MethodGet, "/v1/kv/"+strings.Repeat("k", 1025), nil).wantProblem(t, http.StatusRequestURITooLong, "key_too_long")
	send(t, s, http.MethodGet, "/v1/kv/"+strings.Repeat("%ff", 1025), nil).wantProblem(t, http.StatusRequestURITooLong, "key_too_long")
	p := send(t, s, http.MethodPut, "/v1/kv/", []byte("v")).wantProblem(t, http.StatusBadRequest, "empty_key")
	if p.Outcome != notApplied || *p.Acks != (acks{3, 0}) {
		t.Errorf("a write of no key: %+v", p)
	}
}

func FuzzDecodeKey(f *testing.F) {
	for _, seed := range []string{"", "a", "%", "%2F", "%zz", "a//b", "..", "\xff", strings.Repeat("k", 1025)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, escaped string) {
		key, err := decodeKey(escaped)
		var fault *fault
		if err != nil {
			if !errors.As(err, &fault) || fault.Status != 400 && fault.Status != 414 {
				t.Fatalf("%q: %v", escaped, err)
			}
			return
		}
		if len(key) == 0 || len(key) > maxKey {
			t.Fatalf("%q became a key of %d bytes", escaped, len(key))
		}
		again, err := decodeKey(url.PathEscape(string(key)))
		if err != nil || !bytes.Equal(again, key) {
			t.Fatalf("%q became %q, then %q, %v", escaped, key, again, err)
		}
		request, err := http.NewRequest(http.MethodGet, "http://h/v1/kv/"+url.PathEscape(string(key)), nil)
		if err != nil {
			t.Fatalf("key %q: %v", key, err)
		}
		rt, rest := find(routes(), request.URL.EscapedPath(), false)
		if back, err := decodeKey(rest); rt.name != "kv" || err != nil || !bytes.Equal(back, key) {
			t.Fatalf("key %q went to route %s as %q, %v", key, rt.name, back, err)
		}
	})
}
