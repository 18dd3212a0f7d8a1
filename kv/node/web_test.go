package node

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"dyschord/kv"
	"dyschord/kv/gateway"
)

// served is a cluster whose nodes have gateways and admin listeners.
func served(t *testing.T, cfg Config, n int) []*Node {
	t.Helper()
	cfg.Gateway, cfg.Admin = "127.0.0.1:0", "127.0.0.1:0"
	nodes := cluster(t, cfg, n)
	settled(t, nodes...)
	return nodes
}

var plain = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// fetch requires a status and returns the body.
func fetch(t *testing.T, client *http.Client, method, url, body string, status int, header ...string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(deadline(t), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		t.Fatalf("%s %s: status %d, want %d; %v: %s", method, url, resp.StatusCode, status, err, text)
	}
	return string(text)
}

func decode[T any](t *testing.T, text string) (out T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return out
}

func TestTheGatewayShowsNodeRingTableAndLookups(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		nodes := served(t, cfg, 3)
		url := nodes[1].GatewayURL()
		fetch(t, plain, "PUT", url+"/v1/kv/key", "value", 201)
		if got := fetch(t, plain, "GET", nodes[2].GatewayURL()+"/v1/kv/key", "", 200); got != "value" {
			t.Errorf("value %q", got)
		}

		info := decode[gateway.NodeInfo](t, fetch(t, plain, "GET", url+"/v1/node", "", 200))
		if info.ID != nodes[1].ID() || info.State != "ready" || info.Slots != 16 || !slices.Equal(info.Multiaddrs, nodes[1].Addrs()) {
			t.Errorf("node: %+v", info)
		}
		ring := decode[gateway.Ring](t, fetch(t, plain, "GET", url+"/v1/ring", "", 200))
		if len(ring.Members) != 3 || len(ring.Slots) != 16 || ring.UnderReplicated != 0 || !ring.Complete {
			t.Errorf("ring: %+v", ring)
		}
		for _, m := range ring.Members {
			i := slices.IndexFunc(nodes, func(n *Node) bool { return n.ID() == m.ID })
			if i < 0 || m.PeerID != nodes[i].PeerID() || !slices.Equal(m.Multiaddrs, nodes[i].Addrs()) {
				t.Errorf("member %+v", m)
			}
		}
		found := decode[struct {
			KeyID  string `json:"key_id"`
			SlotID string `json:"slot_id"`
			Slot   int
			Owners []gateway.Owner
		}](t, fetch(t, plain, "GET", url+"/v1/lookup/key", "", 200))
		if found.KeyID != "2c70e12b7a0646f92279f427c7b38e73" || found.Slot != 2 || found.SlotID != "2"+strings.Repeat("0", 31) || len(found.Owners) != 3 {
			t.Errorf("lookup: %+v", found)
		}
		raw := decode[gateway.Table](t, fetch(t, plain, "GET", url+"/v1/table", "", 200))
		if raw.Self.ID != nodes[1].ID() || len(raw.Sections) < 2 {
			t.Errorf("table: %+v", raw)
		}
	})
}

func TestMetricsAreFedByWhatHappens(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		nodes := served(t, cfg, 3)
		url := nodes[0].GatewayURL()
		fetch(t, plain, "PUT", url+"/v1/kv/key", "value", 201)
		fetch(t, plain, "GET", url+"/v1/kv/absent", "", 404)
		fetch(t, plain, "GET", url+"/v1/lookup/key", "", 200)
		text := fetch(t, plain, "GET", url+"/metrics", "", 200)
		for _, want := range []string{
			`dyschord_lookup_hops_count\{algorithm="` + cfg.Algorithm + `",result="ok"\} [1-9]`,
			`dyschord_rpc_seconds_count\{code="ok",message="find"\} [1-9]`,
			`dyschord_kv_operation_seconds_count\{code="ok",operation="put"\} 1`,
			`dyschord_slots\{state="(primary|replica)"\} [1-9]`,
			`dyschord_slots\{state="frozen"\} 0`,
			`dyschord_repairs_total\{cause="dead"\} 0`,
			`dyschord_kv_operation_seconds_count\{code="ok",operation="delete"\} 0`,
			`dyschord_kv_operation_seconds_count\{code="not_found",operation="get"\} 1`,
			`dyschord_under_replicated_slots 0`,
			`dyschord_store_bytes [1-9]`,
			`dyschord_p2p_sent_bytes_total [1-9]`,
			`dyschord_fsync_seconds_count [1-9]`,
			`go_goroutines [1-9]`,
		} {
			if !regexp.MustCompile(want).MatchString(text) {
				t.Errorf("no metric %s", want)
			}
		}
		eventually(t, "the key is counted", func() bool { return nodes[0].metric(t, "dyschord_store_keys") == 1 })
		if strings.Contains(text, nodes[1].PeerID()) || strings.Contains(text, nodes[1].ID()) {
			t.Error("a metric names a peer")
		}
	})
}

func TestReadinessAndLeavingOverHTTP(t *testing.T) {
	nodes := served(t, brisk(), 2)
	for _, n := range nodes {
		fetch(t, plain, "GET", n.GatewayURL()+"/livez", "", 200)
		fetch(t, plain, "GET", n.GatewayURL()+"/readyz", "", 200)
	}
	fetch(t, plain, "PUT", nodes[0].GatewayURL()+"/v1/kv/key", "value", 201)
	fetch(t, plain, "POST", nodes[0].GatewayURL()+"/v1/node/leave", "", 404) // that is for operators
	fetch(t, plain, "POST", nodes[0].AdminURL()+"/v1/node/leave", "", 202)
	eventually(t, "the node says that it has left", func() bool {
		return decode[gateway.NodeInfo](t, fetch(t, plain, "GET", nodes[0].AdminURL()+"/v1/node", "", 200)).State == "left"
	})
	eventually(t, "the node ends", func() bool { return ended(nodes[0]) })
	settled(t, nodes[1])
	expect(t, "key", "value", nodes[1])

	fetch(t, plain, "POST", nodes[1].AdminURL()+"/v1/node/leave", "", 202)
	eventually(t, "the last node says why it stays", func() bool {
		info := decode[gateway.NodeInfo](t, fetch(t, plain, "GET", nodes[1].AdminURL()+"/v1/node", "", 200))
		return info.State == "ready" && strings.Contains(info.Detail, kv.ErrLastNode.Error())
	})
	expect(t, "key", "value", nodes[1])
}

// certificate makes one for loopback.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func TestTokensAndHTTPS(t *testing.T) {
	cert := certificate(t)
	cfg := brisk()
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	cfg.Tokens = []gateway.Token{{Secret: "0123456789abcdef", Scope: gateway.Read}}
	n := served(t, cfg, 1)[0]
	if !strings.HasPrefix(n.GatewayURL(), "https://") {
		t.Errorf("gateway at %s", n.GatewayURL())
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	secure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	fetch(t, secure, "GET", n.GatewayURL()+"/v1/node", "", 401)
	fetch(t, secure, "GET", n.GatewayURL()+"/v1/node", "", 200, "Authorization", "Bearer 0123456789abcdef")
	fetch(t, secure, "PUT", n.GatewayURL()+"/v1/kv/key", "value", 403, "Authorization", "Bearer 0123456789abcdef")
}

func TestADiskThatFailsEndsTheNode(t *testing.T) {
	n := start(t, brisk())
	ready(t, n)
	broken := errors.New("fsync: input/output error")
	n.storing().Fatal(fmt.Errorf("kv: %w", broken))
	eventually(t, "the node ends", func() bool { return ended(n) })
	if !errors.Is(n.Err(), broken) {
		t.Errorf("the node ended with %v", n.Err())
	}
}
