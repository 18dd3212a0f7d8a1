package node

import (
	"net/http"
	"strings"
	"testing"
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
