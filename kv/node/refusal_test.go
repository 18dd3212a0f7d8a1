package node

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"dyschord/kv"
)

func TestANodeThatHasNotJoinedCannotLeave(t *testing.T) {
	cfg := brisk()
	cfg.Admin = "127.0.0.1:0"
	cfg.Bootstrap = []string{"/ip4/127.0.0.1/tcp/1"} // nobody is there
	n := start(t, cfg)
	text := fetch(t, plain, "POST", n.AdminURL()+"/v1/node/leave", "", 503)
	if !strings.Contains(text, `"code":"not_member"`) || !strings.Contains(text, `"retryable":true`) || strings.Contains(text, "outcome") {
		t.Errorf("refused with %s", text)
	}
}

// What the gateway refuses, it refuses on the listeners of a node as well.
func TestListenersOnLoopbackServeNoOtherNames(t *testing.T) {
	cfg := brisk()
	cfg.Gateway, cfg.Admin = "127.0.0.1:0", "127.0.0.1:0"
	n := start(t, cfg)
	ready(t, n)
	for _, url := range []string{n.GatewayURL(), n.AdminURL()} {
		r, err := http.NewRequestWithContext(deadline(t), http.MethodGet, url+"/v1/node", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "evil.example"
		resp, err := plain.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%s as evil.example: status %d", url, resp.StatusCode)
		}
	}
	fetch(t, plain, "POST", n.AdminURL()+"/v1/node/leave", "", 403, "Origin", "https://evil.example")
}

// What the limit allows is stored, and what is longer is refused for its length.
func TestTheLongestValueIsStored(t *testing.T) {
	const longest = 16 << 20
	nodes := served(t, 3, func(c *Config) { c.MaxValue = longest })
	value := strings.Repeat("v", longest)
	key := strings.Repeat("k", kv.MaxKey)
	if err := nodes[0].put(deadline(t), key, value); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if got, err := n.get(deadline(t), key); err != nil || got != value {
			t.Errorf("%s: %d bytes, %v", n.ID(), len(got), err)
		}
	}
	if err := nodes[0].put(deadline(t), key, value+"v"); !errors.Is(err, kv.ErrTooLarge) {
		t.Errorf("one byte more: %v", err)
	}
	if _, err := Start(t.Context(), Config{MaxValue: longest + 1}); err == nil || !strings.Contains(err.Error(), "16777216 is allowed") {
		t.Errorf("a limit above the highest: %v", err)
	}
}
