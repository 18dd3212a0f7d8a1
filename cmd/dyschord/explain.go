package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

// explain prints what dev did and what to try next.
func (c *devCluster) explain(w io.Writer) {
	s := c.settings
	out := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprint(out, "\n  NODE\tGATEWAY\tADMIN\tIDENTIFIER\n")
	for i, n := range c.nodes {
		fmt.Fprintf(out, "  %d\t%s\t%s\t%s\n", i+1, orNone(n.GatewayURL()), orNone(n.AdminURL()), n.ID())
	}
	out.Flush() //nolint:errcheck // a terminal that is gone needs no table
	fmt.Fprintf(w, "\nThe cluster is ready: %s found each other with %s, and every value is kept on %s.\n",
		count(len(c.nodes), "node"), s.Algorithm, count(min(s.Replicas, len(c.nodes)), "node"))
	if s.DataDir == "" {
		fmt.Fprintln(w, "Everything is in memory and is gone when you stop. To keep it: --data-dir DIR")
	} else {
		fmt.Fprintf(w, "Everything is in %s, where the next run finds it.\n", s.DataDir)
	}
	fmt.Fprintf(w, "(It took %s.)\n", c.took.Round(10*time.Millisecond))
	if c.nodes[0].GatewayURL() != "" {
		fmt.Fprintf(w, "\nTry in another terminal:\n\n%s\n", c.suggestions())
	}
	fmt.Fprintln(w, "\nctrl-C stops the cluster.")
}

func orNone(url string) string {
	if url == "" {
		return "-"
	}
	return url
}

// suggestions are commands that work as printed.
func (c *devCluster) suggestions() string {
	first, last := c.nodes[0].GatewayURL(), c.nodes[len(c.nodes)-1].GatewayURL()
	at := ""
	if first != "http://127.0.0.1:8080" {
		at = " --gateway " + first
	}
	me, file := self(), someFile()
	lines := []string{
		me + " put greeting hello" + at,
		me + " get greeting --gateway " + last,
		"curl -T " + file + " " + first + "/v1/kv/file",
		"curl " + last + "/v1/kv/file",
		me + " lookup greeting" + at,
		me + " status" + at,
	}
	if len(c.nodes) > 1 {
		lines = append(lines, me+" leave --admin "+c.nodes[len(c.nodes)-1].AdminURL())
	}
	return "  " + strings.Join(lines, "\n  ")
}

// someFile is a file that is there, to be uploaded.
func someFile() string {
	for _, name := range []string{"README.md", "go.mod", "/etc/hosts"} {
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			return name
		}
	}
	return "FILE"
}

// self is how the user can run this program again.
func self() string {
	path, err := os.Executable()
	if err != nil {
		return "dyschord"
	}
	if strings.Contains(path, "go-build") { // go run
		return "go run ./cmd/dyschord"
	}
	if found, err := exec.LookPath("dyschord"); err == nil {
		if found, err = filepath.Abs(found); err == nil && found == path {
			return "dyschord"
		}
	}
	return os.Args[0]
}
