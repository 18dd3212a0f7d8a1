package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dyschord/dht/overlays"
	"dyschord/kv/node"
)

var update = flag.Bool("update", false, "rewrite docs/dyschord.example.yaml")

const exampleFile = "../../docs/dyschord.example.yaml"

// outcome is what one command line did.
type outcome struct {
	code           int
	stdout, stderr string
}

// dyschord runs one command line in this process.
func dyschord(t *testing.T, stdin string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := execute(t.Context(), args, strings.NewReader(stdin), &stdout, &stderr)
	if n := strings.Count(stderr.String(), "\n"); code != exitDone && n != 1 {
		t.Errorf("%q wrote %d lines to stderr: %q", args, n, stderr.String())
	}
	return outcome{code, stdout.String(), stderr.String()}
}

// alone keeps the test away from settings of the machine it runs on.
func alone(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// effective returns the settings as `config print` shows them.
func effective(t *testing.T, args ...string) map[string]printed {
	t.Helper()
	got := dyschord(t, "", append([]string{"config", "print", "--json"}, args...)...)
	if got.code != exitDone {
		t.Fatalf("config print %q: %s", args, got.stderr)
	}
	var list []printed
	if err := json.Unmarshal([]byte(got.stdout), &list); err != nil {
		t.Fatal(err)
	}
	byKey := map[string]printed{}
	for _, p := range list {
		byKey[p.Setting] = p
	}
	return byKey
}

func TestAFlagWinsOverTheEnvironmentThatOverTheFile(t *testing.T) {
	alone(t)
	write(t, "dyschord.yaml", "replicas: 5\ncluster: from-file\nchord:\n  successors: 9\n")
	t.Setenv("DYSCHORD_CLUSTER", "from-env")
	t.Setenv("DYSCHORD_HEARTBEAT", "3s")
	t.Setenv("DYSCHORD_CHORD_SUCCESSORS", "10")
	got := effective(t, "--heartbeat", "2s", "--listen", "/ip4/127.0.0.1/tcp/1", "--listen", "/ip4/127.0.0.1/tcp/2")
	for key, want := range map[string]printed{
		"heartbeat":        {"heartbeat", "2s", "flag", "--heartbeat"},
		"cluster":          {"cluster", "from-env", "environment", "DYSCHORD_CLUSTER"},
		"chord.successors": {"chord.successors", 10.0, "environment", "DYSCHORD_CHORD_SUCCESSORS"},
		"replicas":         {"replicas", 5.0, "file", "dyschord.yaml"},
		"slots":            {"slots", 256.0, "default", ""},
		"listen":           {"listen", []any{"/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/2"}, "flag", "--listen"},
	} {
		if !reflect.DeepEqual(got[key], want) {
			t.Errorf("%s: %+v, want %+v", key, got[key], want)
		}
	}
}

func TestSettingsFilesOfEveryFormatAndPlace(t *testing.T) {
	user := func(name string) string { return filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "dyschord", name) }
	for _, c := range []struct {
		name, text string
		args       []string
	}{
		{"dyschord.yaml", "replicas: 5\nlookup: {timeout: 3s}\nbootstrap: [/ip4/127.0.0.1/tcp/7]", nil},
		{"dyschord.json", `{"replicas": 5, "lookup": {"timeout": "3s"}, "bootstrap": ["/ip4/127.0.0.1/tcp/7"]}`, nil},
		{"dyschord.toml", "replicas = 5\nbootstrap = ['/ip4/127.0.0.1/tcp/7']\n[lookup]\ntimeout = '3s'", nil},
		{"USER/dyschord.toml", "replicas = 5\nbootstrap = ['/ip4/127.0.0.1/tcp/7']\n[lookup]\ntimeout = '3s'", nil},
		{"other/name.yml", "replicas: 5\nlookup.timeout: 3s\nbootstrap: /ip4/127.0.0.1/tcp/7", []string{"--config", "other/name.yml"}},
	} {
		alone(t)
		name := c.name
		if rest, ok := strings.CutPrefix(name, "USER/"); ok {
			name = user(rest)
		}
		write(t, name, c.text)
		got := effective(t, c.args...)
		if got["replicas"].Value != 5.0 || got["lookup.timeout"].Value != "3s" || got["replicas"].Name != name ||
			!reflect.DeepEqual(got["bootstrap"].Value, []any{"/ip4/127.0.0.1/tcp/7"}) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestTheFirstSettingsFileFoundIsRead(t *testing.T) {
	alone(t)
	write(t, filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "dyschord", "dyschord.yaml"), "replicas: 1")
	write(t, "dyschord.toml", "replicas = 2")
	write(t, "dyschord.json", `{"replicas": 3}`)
	if got := effective(t)["replicas"]; got.Name != "dyschord.json" {
		t.Errorf("%+v", got)
	}
	write(t, "dyschord.yaml", "replicas: 4")
	if got := effective(t)["replicas"]; got.Name != "dyschord.yaml" {
		t.Errorf("%+v", got)
	}
}

const somePeer = "12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5"

// Every message names the setting, where it was set, and what is allowed.
func TestBadSettingsAreRefused(t *testing.T) {
	for _, c := range []struct {
		file, env, flag string
		want            []string
	}{
		{flag: "--replicas=three", want: []string{"setting replicas", `"three"`, "flag --replicas", "1 to 9 is allowed"}},
		{flag: "--replicas=0", want: []string{"setting replicas", "1 to 9 is allowed"}},
		{flag: "--replicas=", want: []string{"setting replicas", "1 to 9 is allowed"}},
		{env: "DYSCHORD_REPLICAS=10", want: []string{"setting replicas", `"10"`, "environment DYSCHORD_REPLICAS", "1 to 9 is allowed"}},
		{file: "replicas: 2.5", want: []string{"setting replicas", `"2.5"`, "file dyschord.yaml", "1 to 9 is allowed"}},
		{file: "replicas: true", want: []string{"setting replicas", "not a whole number"}},
		{file: "replicas: [3]", want: []string{"setting replicas", "not a whole number"}},
		{file: "replicas:", want: []string{"setting replicas", "file dyschord.yaml", "no value"}},
		{file: "replica: 3", want: []string{"unknown setting replica ", "file dyschord.yaml", "perhaps replicas"}},
		{file: "chord: 3", want: []string{"unknown setting chord ", "file dyschord.yaml"}},
		{file: "chord: {fingers: 3}", want: []string{"unknown setting chord.fingers"}},
		{file: "- 3", want: []string{"settings file dyschord.yaml"}},
		{file: "a: b: c", want: []string{"settings file dyschord.yaml"}},
		{env: "DYSCHORD_REPLICA=3", want: []string{"unknown setting DYSCHORD_REPLICA ", "environment", "perhaps DYSCHORD_REPLICAS"}},
		{flag: "--replica=3", want: []string{"unknown flag: --replica"}},
		{flag: "--slots=100", want: []string{"setting slots", "power of two from 16 to 65536"}},
		{flag: "--bits=3", want: []string{"setting bits", "4 to 128"}},
		{flag: "--hash=md5", want: []string{"setting hash", `"md5"`, "sha256 or trivial"}},
		{flag: "--algorithm=cord", want: []string{"setting algorithm", `"cord"`, "chord", "is allowed"}},
		{flag: "--heartbeat=5", want: []string{"setting heartbeat", "flag --heartbeat", "unit", "10ms to 1m0s"}},
		{file: "heartbeat: 5", want: []string{"setting heartbeat", "file dyschord.yaml", "unit"}},
		{flag: "--heartbeat=1h", want: []string{"setting heartbeat", "10ms to 1m0s"}},
		{flag: "--insecure=maybe", want: []string{"setting insecure", "true or false"}},
		{file: "insecure: 1", want: []string{"setting insecure", "true or false"}},
		{flag: "--listen=127.0.0.1:4001", want: []string{"setting listen", "127.0.0.1:4001", "multiaddr"}},
		{flag: "--listen=/ip4/127.0.0.1", want: []string{"setting listen", "(flag --listen)", `"/ip4/127.0.0.1"`, "/tcp/PORT or /udp/PORT/quic-v1"}},
		{flag: "--listen=/ip4/127.0.0.1/udp/1", want: []string{"setting listen", "quic-v1"}},
		{flag: "--listen=/ip4/127.0.0.1/tcp/1/ws", want: []string{"setting listen", "quic-v1"}},
		{flag: "--listen=/ip4/127.0.0.1/tcp/1/p2p/" + somePeer, want: []string{"setting listen", "leave /p2p/"}},
		{flag: "--announce=/ip4/127.0.0.1", want: []string{"setting announce", "quic-v1"}},
		{file: "bootstrap: [/tcp/1]", want: []string{"setting bootstrap", "file dyschord.yaml", "quic-v1"}},
		{flag: "--bootstrap=/ip4/127.0.0.1/udp/1/quic-v1", want: []string{"setting bootstrap", "/p2p/PEER-ID"}},
		{file: "listen: [4001]", want: []string{"setting listen", "not text"}},
		{file: "listen: 4001", want: []string{"setting listen", "not a list"}},
		{file: "data-dir: 4001", want: []string{"setting data-dir", "quotes"}},
		{flag: "--gateway=8080", want: []string{"setting gateway", "HOST:PORT"}},
		{env: "DYSCHORD_GATEWAY=http://127.0.0.1:8080", want: []string{"setting gateway", "environment DYSCHORD_GATEWAY", "URL", "HOST:PORT"}},
		{flag: "--gateway=127.0.0.1:99999", want: []string{"setting gateway", "HOST:PORT"}},
		{flag: "--cluster=a b", want: []string{"setting cluster", "1 to 64 letters"}},
		{flag: "--id=xyz", want: []string{"setting id", "hexadecimal"}},
		{flag: "--id=1", want: []string{"setting id 1 (flag --id)", "hash sha256 (default)", "bits 128 (default)"}},
		{flag: "--id=10 --bits=4", want: []string{"setting id 10", "bits 4", "0 to f is allowed"}},
		{flag: "--bits=4 --slots=32", want: []string{"setting slots 32 (flag --slots)", "bits 4 (flag --bits)", "at most 16"}},
		{flag: "--chord.successors=2", want: []string{"setting chord.successors 2", "replicas 3 (default)"}},
		{flag: "--algorithm=koorde --koorde.successors=2", want: []string{"setting koorde.successors 2 (flag --koorde.successors)", "replicas 3 (default)"}},
		{flag: "--algorithm=kademlia --kademlia.siblings=2", want: []string{"setting kademlia.siblings 2", "replicas 3 (default)"}},
		{flag: "--algorithm=koorde --koorde.pointers=8", want: []string{"setting koorde.pointers 8", "koorde.degree 16 (default)"}},
		{flag: "--koorde.degree=3", want: []string{"setting koorde.degree", "power of two from 2 to 64"}},
		{file: "koorde: {degree: 128}", want: []string{"setting koorde.degree", "file dyschord.yaml", "power of two from 2 to 64"}},
		{env: "DYSCHORD_KADEMLIA_K=33", want: []string{"setting kademlia.k", "environment DYSCHORD_KADEMLIA_K", "1 to 32"}},
		{flag: "--kademlia.interval=1", want: []string{"setting kademlia.interval", "unit", "50ms to 1m0s"}},
		{flag: "--gateway=0.0.0.0:8080", want: []string{"setting gateway 0.0.0.0:8080 (flag --gateway)", "insecure false (default)", "--insecure"}},
		{flag: "--tls-cert=a.pem", want: []string{"setting tls-cert a.pem (flag --tls-cert)", `tls-key "" (default)`, "set both, or neither"}},
		{flag: "--admin=:9080", want: []string{"setting admin :9080", "--insecure"}},
		{flag: "--listen=/ip4/0.0.0.0/tcp/1", want: []string{"setting listen", "/ip4/0.0.0.0/tcp/1 is not loopback", "--insecure"}},
		{flag: "--listen=/dns4/example.com/tcp/1", want: []string{"is not loopback"}},
		{flag: "--config=none.yaml", want: []string{`"none.yaml"`, "flag --config", "no such file"}},
		{flag: "--config=x.ini", want: []string{`"x.ini"`, "flag --config", ".yaml, .json or .toml"}},
		{env: "DYSCHORD_CONFIG=none.yaml", want: []string{`"none.yaml"`, "environment DYSCHORD_CONFIG"}},
	} {
		t.Run(strings.Join(strings.Fields(c.file+c.env+c.flag), " "), func(t *testing.T) {
			alone(t)
			if c.file != "" {
				write(t, "dyschord.yaml", c.file)
			}
			if name, value, ok := strings.Cut(c.env, "="); ok {
				t.Setenv(name, value)
			}
			args := []string{"config", "print"}
			if c.flag != "" {
				args = append(args, regexp.MustCompile(` (?:--)`).Split(c.flag, -1)...)
				for i := range args[3:] {
					args[3+i] = "--" + args[3+i]
				}
			}
			got := dyschord(t, "", args...)
			if got.code != exitUsage || got.stdout != "" {
				t.Errorf("exit code %d, stdout %q; want %d and nothing", got.code, got.stdout, exitUsage)
			}
			for _, want := range c.want {
				if !strings.Contains(got.stderr, want) {
					t.Errorf("the error does not say %q: %s", want, got.stderr)
				}
			}
		})
	}
}

func TestWhatIsAllowedIsTaken(t *testing.T) {
	for _, args := range [][]string{
		{"--bits=4", "--hash=trivial", "--id=f"},
		{"--bits=16", "--id=ffff"},
		{"--gateway=", "--admin=", "--data-dir="},
		{"--gateway=0.0.0.0:80", "--listen=/ip4/0.0.0.0/udp/1/quic-v1", "--insecure"},
		{"--gateway=0.0.0.0:80", "--token-file=tokens"},
		{"--bootstrap=/dns4/host/tcp/1,/ip4/127.0.0.1/udp/1/quic-v1/p2p/" + somePeer + ",/dns6/h/tcp/2/p2p/" + somePeer},
		{"--chord.successors=1", "--kademlia.siblings=2", "--koorde.successors=2", "--replicas=3", "--algorithm=koorde", "--koorde.successors=3"},
		{"--algorithm=kademlia", "--koorde.pointers=2", "--chord.successors=1"}, // of no concern to it
		{"--gateway=[::1]:0", "--listen=/ip6/::1/tcp/0,/dns4/localhost/tcp/0"},
	} {
		alone(t)
		effective(t, args...)
	}
}

// A setting that follows from another one says what holds.
func TestDefaultsThatFollow(t *testing.T) {
	for _, c := range []struct {
		arg, key string
		want     float64
	}{
		{"--bits=5", "slots", 32},
		{"--bits=64", "slots", 256},
		{"--koorde.degree=4", "koorde.pointers", 8},
		{"--koorde.degree=64", "koorde.pointers", 120},
	} {
		alone(t)
		if got := effective(t, c.arg)[c.key]; got.Value != c.want || got.Source != "default" {
			t.Errorf("%s: %s is %v by %s, want %v", c.arg, c.key, got.Value, got.Source, c.want)
		}
	}
}

func TestAnEmptyVariableIsAnEmptyValue(t *testing.T) {
	alone(t)
	t.Setenv("DYSCHORD_DATA_DIR", "")
	if got := effective(t)["data-dir"]; got.Value != "" || got.Source != "environment" {
		t.Errorf("%+v", got)
	}
}

// fields lists the keys that the settings struct has room for.
func fields(t reflect.Type, prefix string) []string {
	var keys []string
	for f := range t.Fields() {
		key := prefix + f.Tag.Get("mapstructure")
		if f.Type.Kind() == reflect.Struct {
			keys = append(keys, fields(f.Type, key+".")...)
		} else {
			keys = append(keys, key)
		}
	}
	return keys
}

func TestTheTableIsComplete(t *testing.T) {
	var keys []string
	for _, s := range append(settingTable(), devTable()[0]) {
		keys = append(keys, s.key)
		if value, err := s.kind.parse(s.def); err != nil || !reflect.DeepEqual(value, s.def) {
			t.Errorf("the default of %s is not allowed: %v", s.key, err)
		}
		if s.help == "" || s.about == "" && s.key != "nodes" {
			t.Errorf("%s is not explained", s.key)
		}
	}
	want := fields(reflect.TypeFor[settings](), "")
	slices.Sort(keys)
	slices.Sort(want)
	if !slices.Equal(keys, want) {
		t.Errorf("settings in the table:\n%q\nfields of the struct:\n%q", keys, want)
	}
}

func TestTheExampleFileIsCompleteAndAtTheDefaults(t *testing.T) {
	example := dyschord(t, "", "config", "example").stdout
	if *update {
		write(t, exampleFile, example)
	}
	file, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(file) != example {
		t.Fatal("docs/dyschord.example.yaml is out of date: go test ./cmd/dyschord -run Example -update")
	}
	alone(t)
	write(t, "dyschord.yaml", example)
	fromFile := effective(t)
	write(t, "dyschord.yaml", "{}")
	fromDefaults := effective(t)
	for _, s := range settingTable() {
		if fromFile[s.key].Source != "file" || fromDefaults[s.key].Source != "default" {
			t.Errorf("%s: not in the file", s.key)
		}
		if !reflect.DeepEqual(fromFile[s.key].Value, fromDefaults[s.key].Value) {
			t.Errorf("%s: %v in the file, %v by default", s.key, fromFile[s.key].Value, fromDefaults[s.key].Value)
		}
	}
	explained := regexp.MustCompile(`(?m)^ *# .*\n *[a-z-]+: `)
	if n := len(explained.FindAllString(example, -1)); n != len(settingTable()) {
		t.Errorf("%d settings in the file have a comment, of %d", n, len(settingTable()))
	}
}

// Every setting changes the configuration of the node, and nothing else does. The
// content of files, and the form of the log, come in beside it.
func TestEverySettingReachesTheNode(t *testing.T) {
	configuration := func(args ...string) node.Config {
		alone(t)
		c := configPrintCommand()
		if err := c.ParseFlags(args); err != nil {
			t.Fatal(err)
		}
		got, err := loader{table: settingTable(), flags: c.Flags(), file: true}.load()
		if err != nil {
			t.Fatal(err)
		}
		return got.settings.node(nil)
	}
	other := map[string]string{
		"cluster": "x", "algorithm": "", "bits": "64", "hash": "trivial", "slots": "64", "replicas": "5", "id": "7 --hash=trivial",
		"listen": "/ip4/127.0.0.1/tcp/1", "announce": "/ip4/127.0.0.1/tcp/1", "bootstrap": "/ip4/127.0.0.1/tcp/1",
		"gateway": "127.0.0.1:1", "admin": "127.0.0.1:1", "insecure": "true", "data-dir": "x", "max-value": "7",
		"log-requests": "true", "log-rpc": "true", "heartbeat": "2s", "request-timeout": "2s",
		"chord.successors": "9", "chord.stabilize": "2s", "chord.proximity": "true",
		"kademlia.k": "8", "kademlia.siblings": "8", "kademlia.interval": "2s", "kademlia.proximity": "true",
		"koorde.degree": "4", "koorde.pointers": "40", "koorde.successors": "9", "koorde.stabilize": "2s", "lookup.style": "recursive", "lookup.alpha": "3", "lookup.timeout": "2s",
	}
	beside := []string{"token-file", "tls-cert", "tls-key", "log-level", "log-format"}
	def := configuration()
	for _, s := range settingTable() {
		if slices.Contains(beside, s.key) {
			continue
		}
		values := strings.Fields(other[s.key])
		if s.key == "algorithm" {
			values = slices.DeleteFunc(overlays.Names(), func(name string) bool { return name == def.Algorithm })
			if len(values) == 0 {
				continue
			}
			values = values[:1]
		}
		if len(values) == 0 {
			t.Errorf("%s: no value to try", s.key)
			continue
		}
		args := append([]string{"--" + s.key + "=" + values[0]}, values[1:]...)
		if got := configuration(args...); reflect.DeepEqual(got, configuration(args[1:]...)) {
			t.Errorf("%v changes nothing: %+v", args, got)
		}
	}
}
