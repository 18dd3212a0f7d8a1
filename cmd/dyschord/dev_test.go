package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Nothing that settings can be in conflict about may stumble over what dev does not
// take, and no advice may name a flag that it does not have.
func TestConflictsOfDev(t *testing.T) {
	alone(t)
	for args, want := range map[string]string{
		"--gateway 0.0.0.0:8080":        "setting gateway 0.0.0.0:8080 (flag --gateway) is not loopback: dev serves loopback only; for others use `dyschord node`",
		"--gateway :8080":               "dev serves loopback only",
		"--bits 4 --slots 32":           "slots 32 (flag --slots) conflicts with bits 4 (flag --bits)",
		"--chord.successors 2":          "chord.successors 2 (flag --chord.successors) conflicts with replicas 3 (default)",
		"--replicas 9 --nodes 1":        "chord.successors 8 (default)",
		"--insecure":                    "unknown flag",
		"--listen /ip4/0.0.0.0/tcp/401": "unknown flag",
	} {
		got := dyschord(t, "", append([]string{"dev"}, strings.Fields(args)...)...)
		if got.code != exitUsage || !strings.Contains(got.stderr, want) || got.stdout != "" {
			t.Errorf("dev %s: %+v, want exit code %d and %q", args, got, exitUsage, want)
		}
	}
	c := devCommand()
	got, err := loader{table: devTable(), flags: c.Flags()}.load()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range settingTable() {
		if shown := got.show(s.key); !strings.HasPrefix(shown, s.key) {
			t.Errorf("%s is shown as %q", s.key, shown)
		}
	}
	for what, change := range map[string]func(*settings){
		"id":     func(s *settings) { s.ID = "1" },
		"listen": func(s *settings) { s.Listen = []string{"/ip4/0.0.0.0/tcp/1"} },
		"tls":    func(s *settings) { s.TLSCert = "a.pem" },
	} {
		l := got
		change(&l.settings)
		if err := l.conflicts(); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("conflict of %s: %v", what, err)
		}
	}
	if got := inline(nil); got == "" {
		t.Error("nothing is shown as nothing")
	}
}

// dirs makes a data directory of dev with these entries; dev.json has text, if any.
func dirs(t *testing.T, text string, nodes ...int) string {
	t.Helper()
	dir := t.TempDir()
	for _, i := range nodes {
		if err := os.Mkdir(nodeDir(dir, i), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if text != "" {
		write(t, filepath.Join(dir, sizeFile), text)
	}
	return dir
}

func TestDevAdoptsTheNodesThatHoldData(t *testing.T) {
	for _, c := range []struct {
		size string
		dirs []int
		args string
		want int    // nodes, or
		says string // why not
	}{
		{"", nil, "", 5, ""},
		{"", nil, "--nodes 3", 3, ""},
		{`{"nodes":3}`, []int{1, 2, 3}, "", 3, ""},
		{`{"nodes":3}`, []int{1, 2, 3}, "--nodes 4", 4, ""},
		{`{"nodes":3}`, []int{1, 2, 3, 4}, "", 4, ""}, // more were asked for, which did not settle
		{`{"nodes":3}`, []int{1, 2, 3}, "--nodes 2", 0, "it holds the data of 3 nodes"},
		{`{"nodes":3}`, []int{1, 3}, "", 0, "node2 is missing"},
		{`{"nodes":3}`, []int{1, 2}, "", 0, "node3 is missing"},
		{`{"nodes":3}`, nil, "", 0, "node1 is missing"},
		{"", []int{2}, "", 0, "node1 is missing"},
		{"", []int{1, 2, 3}, "", 5, ""}, // a first start that did not settle
		{"", []int{1, 2, 3, 4, 5, 6}, "", 6, ""},
		{"", []int{1, 2, 3, 4}, "--nodes 3", 0, "remove the directory"},
		{`{"nodes":0}`, []int{1}, "", 0, "dev.json is damaged"},
		{`{"nodes":`, []int{1}, "", 0, "dev.json is damaged"},
	} {
		dir := dirs(t, c.size, c.dirs...)
		cmd := devCommand()
		if err := cmd.ParseFlags(append(strings.Fields(c.args), "--data-dir", dir)); err != nil {
			t.Fatal(err)
		}
		got, err := loader{table: devTable(), flags: cmd.Flags()}.load()
		if err != nil {
			t.Fatal(err)
		}
		err = got.adoptNodes()
		var coded *exitError
		switch {
		case c.says == "" && (err != nil || got.settings.Nodes != c.want):
			t.Errorf("%+v: %d nodes, %v", c, got.settings.Nodes, err)
		case c.says != "" && (!errors.As(err, &coded) || coded.code != exitUsage || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestADevStartThatCannotBindLeavesNothing(t *testing.T) {
	alone(t)
	taken, base := consecutive(t, 2)
	dir := filepath.Join(t.TempDir(), "d")
	gateway := fmt.Sprintf("127.0.0.1:%d", base)
	got := dyschord(t, "", "dev", "--nodes", "2", "--gateway", gateway, "--data-dir", dir)
	for _, want := range []string{"node 2: gateway address " + taken.Addr().String(), "in use", "--gateway"} {
		if got.code != exitFailed || got.stdout != "" || !strings.Contains(got.stderr, want) {
			t.Errorf("%+v, want exit code %d and %q", got, exitFailed, want)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory was made: %v", err)
	}
	free, err := net.Listen("tcp", gateway)
	if err != nil {
		t.Fatalf("the first address was not released: %v", err)
	}
	free.Close()
}

// consecutive finds n ports in a row, and listens on the last.
func consecutive(t *testing.T, n int) (last net.Listener, first int) {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		first = l.Addr().(*net.TCPAddr).Port - n + 1
		before, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first))
		if err == nil {
			before.Close()
			t.Cleanup(func() { l.Close() })
			return l, first
		}
		l.Close()
	}
	t.Fatal("no ports in a row")
	return nil, 0
}

func TestDevRefusesPortsThatDoNotExist(t *testing.T) {
	alone(t)
	got := dyschord(t, "", "dev", "--gateway", "127.0.0.1:65534")
	want := "setting gateway 127.0.0.1:65534 (flag --gateway) conflicts with nodes 5 (default)"
	if got.code != exitUsage || got.stdout != "" || !strings.Contains(got.stderr, want) || !strings.Contains(got.stderr, "port 65531 or less") {
		t.Errorf("%+v", got)
	}
}

// watcher cancels when enough lines with a text have been written.
type watcher struct {
	strings.Builder
	text   string
	lines  int
	cancel context.CancelFunc
}

func (w *watcher) Write(p []byte) (int, error) {
	n, err := w.Builder.Write(p)
	if strings.Count(w.String(), w.text) >= w.lines {
		w.cancel()
	}
	return n, err
}

func devSettings(t *testing.T, args ...string) settings {
	t.Helper()
	c := devCommand()
	if err := c.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	got, err := loader{table: devTable(), flags: c.Flags()}.load()
	if err != nil {
		t.Fatal(err)
	}
	return got.settings
}

func TestDevSaysWhatItWaitsFor(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out := &watcher{text: "still waiting", lines: 2, cancel: cancel}
	d := &devCluster{settings: devSettings(t, "--nodes", "1"), stdout: out, patience: 200 * time.Millisecond}
	defer d.close()
	if err := d.start(ctx, make([]net.Listener, 1), io.Discard); err != nil {
		t.Fatal(err)
	}
	d.nodes = append(d.nodes, d.nodes[0]) // a second one that never comes
	if err := d.settle(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if want := "node 1 says: 1 of 2 nodes are up"; strings.Count(out.String(), want) != 2 {
		t.Errorf("dev wrote %q", out.String())
	}
}

func TestDevKeepsItsSizeWhenItHasSettled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out := &watcher{text: "The cluster is ready", lines: 1, cancel: cancel}
	d := &devCluster{settings: devSettings(t, "--nodes", "2", "--data-dir", dir), stdout: out, patience: time.Minute}
	if err := d.run(ctx, make([]string, 2), io.Discard); err != nil {
		t.Fatal(err)
	}
	if n, err := keptNodes(dir); n != 2 || err != nil {
		t.Errorf("%d nodes, %v; dev wrote %q", n, err, out.String())
	}
}
