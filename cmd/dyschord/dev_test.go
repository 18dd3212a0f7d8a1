package main

import (
	"strings"
	"testing"
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
