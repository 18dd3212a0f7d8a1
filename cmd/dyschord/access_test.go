package main

import (
	"os"
	"strings"
	"testing"

	"dyschord/kv/gateway"
)

func TestTokenFiles(t *testing.T) {
	path := t.TempDir() + "/tokens"
	read := func(text string, mode os.FileMode) ([]gateway.Token, error) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return readTokens(path)
	}
	got, err := read("# ours\n\nadmin 0123456789abcdef\n  read\tsecretsecretsecret  \n", 0o600)
	if err != nil || len(got) != 2 || got[0] != (gateway.Token{Secret: "0123456789abcdef", Scope: gateway.Admin}) || got[1].Scope != gateway.Read {
		t.Errorf("%v, %v", got, err)
	}
	for text, want := range map[string]string{
		"admin tooshort":               "line 1: not a token",
		"\nroot 0123456789abcdef":      `line 2: unknown scope "root"`,
		"admin 0123456789abcdef extra": "line 1: not a token",
		"# none":                       "holds no token",
	} {
		_, err := read(text, 0o600)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "0123456789") {
			t.Errorf("%q: %v, want %q and no secret", text, err, want)
		}
	}
	if _, err := read("admin 0123456789abcdef", 0o640); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others can read was taken: %v", err)
	}
	if _, err := readTokens(path + "none"); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("a file that is not there: %v", err)
	}
	if got, err := readTokens(""); got != nil || err != nil {
		t.Errorf("no file: %v, %v", got, err)
	}
}

// Files that cannot be read are refused like other settings: with the setting, its
// value, where it was set, and what is allowed.
func TestFilesThatCannotBeRead(t *testing.T) {
	for args, want := range map[string][]string{
		"--token-file none":                      {"setting token-file none (flag --token-file)", "name a file that can be read"},
		"--tls-cert none.pem --tls-key none.key": {"settings tls-cert none.pem (flag --tls-cert)", "none.key", "PEM"},
		"--token-file dyschord.yaml":             {"setting token-file dyschord.yaml", "chmod 600"},
		"--tls-cert k.yaml --tls-key k.yaml":     {"tls-key k.yaml (flag --tls-key)", "PEM"},
	} {
		alone(t)
		write(t, "dyschord.yaml", "data-dir: ''")
		write(t, "k.yaml", "no key")
		got := dyschord(t, "", append([]string{"node"}, strings.Fields(args)...)...)
		for _, want := range want {
			if got.code != exitUsage || !strings.Contains(got.stderr, want) {
				t.Errorf("%s: %+v, want exit code %d and %q", args, got, exitUsage, want)
			}
		}
	}
}
