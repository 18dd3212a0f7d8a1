package p2p

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dyschord/dht"
	"dyschord/net/wire"
)

func TestConfigRefusesWhatCannotWork(t *testing.T) {
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	nine := dht.NewID(0, 9)
	for want, edit := range map[string]func(*Config){
		"no key":                      func(c *Config) { c.Key = Key{} },
		"incarnation is 0":            func(c *Config) { c.Inc = 0 },
		"width of 3 bits":             func(c *Config) { c.Space.Bits = 3 },
		"identifier 9 is set by hand": func(c *Config) { c.ID = &nine },
		"does not fit in 4 bits": func(c *Config) {
			id := dht.NewID(0, 16)
			c.Space.Bits, c.ID = 4, &id
		},
		`listen address "here" is no multiaddr`: func(c *Config) { c.Listen = []string{"here"} },
		"must not end in /p2p/": func(c *Config) {
			c.Listen = []string{"/ip4/127.0.0.1/tcp/1/p2p/12D3KooWQJfhV1otNocgbWHRKmm8S2UgePt3pfMsFADTQgWWPCBD"}
		},
		`announced address "x"`: func(c *Config) { c.Announce = []string{"x"} },
		"RedialMax":             func(c *Config) { c.RedialMin, c.RedialMax = time.Minute, time.Second },
		"InFlight":              func(c *Config) { c.InFlight = -1 },
		"time-out Margin":       func(c *Config) { c.Timeouts.Margin = -1 },
		"settings":              func(c *Config) { c.Settings = make([]wire.Setting, 100) },
	} {
		cfg := Config{Key: key, Inc: 1}
		edit(&cfg)
		h, err := New(cfg)
		if err == nil {
			h.Close()
			t.Errorf("no error that says %q", want)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}

func TestListenSaysWhichAddressIsAtFault(t *testing.T) {
	a := newNode(t, Config{})
	occupied, _, _ := strings.Cut(a.Addrs()[0], "/p2p/")
	for addr, want := range map[string]string{
		occupied:                  "address already in use",
		"/ip4/192.0.2.1/tcp/4001": "cannot assign requested address",
		"/ip4/127.0.0.1/tcp/0/ws": "only /ip4 or /ip6",
		"/ip4/127.0.0.1/udp/4001": "only /ip4 or /ip6",
	} {
		key, err := NewKey()
		if err != nil {
			t.Fatal(err)
		}
		h, err := New(Config{Key: key, Inc: 1, Listen: []string{addr}})
		if err != nil {
			t.Fatal(err)
		}
		err = h.Start()
		h.Close()
		if err == nil || !strings.Contains(err.Error(), addr) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("listen on %s: %v", addr, err)
		}
	}
}

func TestAnnouncedAddressesAreTold(t *testing.T) {
	a := newNode(t, Config{Announce: []string{"/dns4/node.example/tcp/4001"}})
	if want := "/dns4/node.example/tcp/4001/p2p/" + a.PeerID(); fmt.Sprint(a.Addrs()) != fmt.Sprint([]string{want}) {
		t.Errorf("addresses %v, want %s", a.Addrs(), want)
	}
}

func TestKeyFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	ids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			key, err := LoadKey(path)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i], _ = key.PeerID()
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Fatalf("different keys from one file: %v", ids)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
		t.Errorf("temporary files are left: %v", left)
	}
}

func TestKeyFilesRefused(t *testing.T) {
	dir := t.TempDir()
	open := filepath.Join(dir, "open")
	if _, err := LoadKey(open); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		open:                            "mode 0644",
		garbage:                         "holds no private key",
		filepath.Join(dir, "no", "dir"): "no such file",
		dir:                             "mode",
	} {
		if _, err := LoadKey(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
