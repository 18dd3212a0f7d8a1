package main

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/multiformats/go-multiaddr"

	"dyschord/dht"
	"dyschord/dht/overlays"
)

// settings are the effective settings of a node: read once, never changed.
type settings struct {
	Algorithm string   `mapstructure:"algorithm"`
	Cluster   string   `mapstructure:"cluster"`
	Listen    []string `mapstructure:"listen"`
	Announce  []string `mapstructure:"announce"`
	Bootstrap []string `mapstructure:"bootstrap"`
	Gateway   string   `mapstructure:"gateway"`
	Admin     string   `mapstructure:"admin"`
	Insecure  bool     `mapstructure:"insecure"`
	TokenFile string   `mapstructure:"token-file"`
	TLSCert   string   `mapstructure:"tls-cert"`
	TLSKey    string   `mapstructure:"tls-key"`
	DataDir   string   `mapstructure:"data-dir"`
	MaxValue  int      `mapstructure:"max-value"`

	Replicas  int           `mapstructure:"replicas"`
	Slots     int           `mapstructure:"slots"`
	Bits      int           `mapstructure:"bits"`
	Hash      string        `mapstructure:"hash"`
	ID        string        `mapstructure:"id"`
	Heartbeat time.Duration `mapstructure:"heartbeat"`
	Timeout   time.Duration `mapstructure:"request-timeout"`

	LogLevel    string `mapstructure:"log-level"`
	LogFormat   string `mapstructure:"log-format"`
	LogRequests bool   `mapstructure:"log-requests"`
	LogRPC      bool   `mapstructure:"log-rpc"`

	Nodes int `mapstructure:"nodes"` // dev only

	Lookup   lookupSettings   `mapstructure:"lookup"`
	Chord    chordSettings    `mapstructure:"chord"`
	Kademlia kademliaSettings `mapstructure:"kademlia"`
	Koorde   koordeSettings   `mapstructure:"koorde"`
}

func (s settings) space() dht.Space {
	hash, _ := dht.ParseHash(s.Hash) // one of its names: the table lets nothing else through
	return dht.Space{Bits: s.Bits, Hash: hash}
}

// setting is one line of the table that everything about a setting is made from.
type setting struct {
	key   string // in files; "--" + key is the flag
	kind  kind
	def   any
	help  string // one line, for --help
	about string // for the settings file: unit, limits, effect, advice
	group string // heading that starts here in the settings file
	dev   bool   // dev takes it too
}

// env is the name of the setting's environment variable.
func (s setting) env() string {
	return "DYSCHORD_" + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(s.key))
}

// settingTable lists every setting of a node, in the order they are shown in.
func settingTable() []setting {
	var all []setting
	for _, group := range [][]setting{clusterSettings(), addressSettings(), storageSettings(), logSettings(), tuningSettings(), algorithmSettings()} {
		all = append(all, group...)
	}
	return all
}

// maxValue is the most that max-value can be, in bytes.
const maxValue = 16 << 20

// maxDevNodes is how many nodes dev runs at most.
const maxDevNodes = 32

// devTable lists what dev takes: what the nodes of its cluster have in common,
// with defaults that suit it, and their number.
func devTable() []setting {
	table := []setting{{key: "nodes", kind: number{min: 1, max: maxDevNodes}, def: 5, help: "nodes to run"}}
	for _, s := range settingTable() {
		if !s.dev {
			continue
		}
		switch s.key {
		case "gateway":
			s.help = "HTTP address of the first node; the others take the ports that follow, or any free ones if it is 0"
		case "data-dir":
			s.def, s.help = "", "directory that keeps the cluster from one run to the next, empty for memory only"
		case "heartbeat", "chord.stabilize", "kademlia.interval", "koorde.stabilize":
			s.def = 250 * time.Millisecond // one machine, no distance: be quick
		case "log-level":
			s.def = "error"
		}
		table = append(table, s)
	}
	return table
}

func clusterSettings() []setting {
	return []setting{
		{
			key: "cluster", kind: text{"NAME", clusterName}, def: "dyschord", dev: true,
			group: "The cluster. All members must agree on these; a node that differs is refused and told why.",
			help:  "name of the cluster",
			about: "Name of the cluster. 1 to 64 letters, digits, '-', '_' or '.'. Nodes of differently named\nclusters refuse each other.",
		},
		{
			key: "algorithm", kind: choice{overlays.Names()}, def: "chord", dev: true,
			help:  "distributed hash table that places and finds the data",
			about: "Distributed hash table that places and finds the data. Allowed: " + strings.Join(overlays.Names(), ", ") + ".",
		},
		{
			key: "bits", kind: number{min: dht.MinBits, max: dht.MaxBits}, def: dht.MaxBits, dev: true,
			help:  "width of identifiers",
			about: "Width of identifiers in bits, 4 to 128. Less than 128 is for teaching and for replaying the\nfigures of papers.",
		},
		{
			key: "hash", kind: choice{[]string{"sha256", "trivial"}}, def: "sha256", dev: true,
			help:  "how a key becomes an identifier",
			about: "How a key becomes an identifier. sha256 spreads keys evenly. trivial, for teaching, reads an\ninteger key as that integer modulo the space: with 4 bits, key 19 has identifier 3.",
		},
		{
			key: "slots", kind: number{min: 1 << 4, max: 1 << 16, power2: true}, def: 256, dev: true,
			help:  "shards that the keys are divided into",
			about: "Shards that the keys are divided into, the unit in which data moves between nodes. A power of\ntwo from 16 to 65536, at most 2^bits (and 2^bits by default where that is less than 256). Take\nsome 10 for each node you expect: more make moves finer and upkeep dearer. Fixed when the\ncluster is founded.",
		},
		{
			key: "replicas", kind: number{min: 1, max: 9}, def: 3, dev: true,
			help:  "nodes that hold each value",
			about: "Nodes that hold each value, 1 to 9; fewer where there are fewer nodes. A write is acknowledged\nwhen a majority has it on disk: 3 survive the loss of one node, 5 of two; an even number\nsurvives no more than the odd one below it.",
		},
		{
			key: "id", kind: text{"HEX", hexID}, def: "",
			help:  "identifier of this node, in narrow or trivial spaces only",
			about: "Identifier of this node in hexadecimal, for teaching: allowed only where hash is trivial or bits\nis at most 16, and free in the cluster. Empty: computed from the node's key.",
		},
	}
}

func addressSettings() []setting {
	return []setting{
		{
			key: "listen", kind: list{"MULTIADDR", ownAddress}, def: []string{"/ip4/127.0.0.1/tcp/4001"},
			group: "Addresses.",
			help:  "addresses to listen on for other nodes (repeatable)",
			about: "Addresses to listen on for other nodes, as multiaddrs: /ip4/HOST/tcp/PORT or\n/ip4/HOST/udp/PORT/quic-v1; port 0 takes any free one. Anything but loopback needs insecure:\nwhoever reaches the port can join.",
		},
		{
			key: "announce", kind: list{"MULTIADDR", ownAddress}, def: []string{},
			help:  "addresses to tell other nodes instead of those listened on (repeatable)",
			about: "Addresses to tell other nodes, where they differ from those listened on (behind NAT, in\ncontainers). Empty: those listened on.",
		},
		{
			key: "bootstrap", kind: list{"MULTIADDR", memberAddress}, def: []string{},
			help:  "addresses of members to join through (repeatable); none founds a new cluster",
			about: "Addresses of members to join through; /p2p/PEER-ID at the end makes sure who answers. Name two\nor three. With none, a node without stored state founds a new cluster; with some, it never does:\nit keeps trying until one answers.",
		},
		{
			key: "gateway", kind: text{"HOST:PORT", hostPort}, def: "127.0.0.1:8080", dev: true,
			help:  "address of the HTTP gateway, empty for none",
			about: "Address of the HTTP gateway, HOST:PORT; port 0 takes any free one; empty for no gateway.\nAnything but loopback needs token-file or insecure.",
		},
		{
			key: "admin", kind: text{"HOST:PORT", hostPort}, def: "127.0.0.1:9080",
			help:  "address of the HTTP listener for leave and pprof, empty for none",
			about: "Address of the listener for what an operator does: leave, and /debug/pprof. Empty for none.\nAnything but loopback needs token-file or insecure.",
		},
		{
			key: "token-file", kind: text{what: "FILE"}, def: "",
			help:  "file of bearer tokens for the gateway and the admin listener",
			about: "File of bearer tokens that the gateway and the admin listener ask for: a line \"SCOPE SECRET\"\nfor each, where SCOPE is read, write or admin and SECRET has 16 characters or more. Only its\nowner may be able to read it. Empty: no token is asked for.",
		},
		{
			key: "tls-cert", kind: text{what: "FILE"}, def: "",
			help:  "certificate of the gateway and the admin listener, PEM",
			about: "Certificate chain that the gateway and the admin listener show, in PEM; they then speak HTTPS.\nNeeds tls-key. Empty: plain HTTP.",
		},
		{
			key: "tls-key", kind: text{what: "FILE"}, def: "",
			help:  "private key of tls-cert, PEM",
			about: "Private key of tls-cert, in PEM.",
		},
		{
			key: "insecure", kind: yesNo{}, def: false,
			help:  "allow addresses that others can reach, without admission",
			about: "Allow addresses other than loopback although nothing asks who comes. For closed networks only.",
		},
	}
}

func storageSettings() []setting {
	return []setting{
		{
			key: "data-dir", kind: text{what: "DIR"}, def: "dyschord-data", dev: true,
			group: "Storage.",
			help:  "directory of the node's key and data, empty for memory only",
			about: "Directory of the node's key and data; made if missing; one node at a time. It belongs to one\ncluster and keeps its algorithm, bits, hash and slots. Empty: memory only, so that the node\nforgets everything when it stops, its identity too.",
		},
		{
			key: "max-value", kind: number{min: 1, max: maxValue}, def: 1 << 20, dev: true,
			help:  "longest value that is accepted, in bytes",
			about: "Longest value that is accepted, in bytes, 1 to 16777216 (16 MiB): a value is read, sent and\nstored as a whole, so that a node has room for a few of that length at a time. Should be the\nsame at all members: a replica must be able to receive what another accepted.",
		},
	}
}

func logSettings() []setting {
	return []setting{
		{
			key: "log-level", kind: choice{[]string{"debug", "info", "warn", "error"}}, def: "info", dev: true,
			group: "Logs, written to standard error.",
			help:  "least important message to log",
			about: "Least important message to log: debug, info, warn or error.",
		},
		{
			key: "log-format", kind: choice{[]string{"text", "json"}}, def: "text", dev: true,
			help:  "form of the log",
			about: "Form of the log: text, or json with one object a line.",
		},
		{
			key: "log-requests", kind: yesNo{}, def: false, dev: true,
			help:  "log every HTTP request",
			about: "Log every HTTP request to the gateway, at level info.",
		},
		{
			key: "log-rpc", kind: yesNo{}, def: false, dev: true,
			help:  "log every call between nodes",
			about: "Log every call between nodes, at level info. Much.",
		},
	}
}

func tuningSettings() []setting {
	return []setting{
		{
			key: "heartbeat", kind: span{10 * time.Millisecond, time.Minute}, def: time.Second, dev: true,
			group: "Tuning. May differ between nodes.",
			help:  "time between signs of life among the members of a slot",
			about: "Time between signs of life among nodes that share data, 10ms to 1m. A node that misses some four\nis taken for dead: shorter notices sooner and sends more.",
		},
		{
			key: "request-timeout", kind: span{100 * time.Millisecond, 5 * time.Minute}, def: 10 * time.Second, dev: true,
			help:  "time after which a request is refused that no majority has answered",
			about: "Time after which a request for a key is refused that no majority of its replicas has answered,\n100ms to 5m. Until then it is tried again: what is over sooner, as when a primary dies, no client\nnotices.",
		},
		{
			key: "lookup.style", kind: choice{[]string{"iterative", "recursive"}}, def: "iterative", dev: true,
			help:  "whether the asking node visits each hop itself or hops forward the question",
			about: "Whether the asking node visits each hop itself (iterative) or each hop forwards the question\n(recursive).",
		},
		{
			key: "lookup.alpha", kind: number{min: 1, max: 16}, def: 1, dev: true,
			help:  "nodes asked at the same time by an iterative lookup",
			about: "Nodes asked at the same time by an iterative lookup, 1 to 16. More wait less for slow nodes and\nsend more.",
		},
		{
			key: "lookup.timeout", kind: span{100 * time.Millisecond, 10 * time.Minute}, def: 10 * time.Second, dev: true,
			help:  "time after which a lookup gives up",
			about: "Time after which a lookup gives up, 100ms to 10m.",
		},
	}
}

func clusterName(s string) error {
	ok := len(s) >= 1 && len(s) <= 64
	for _, c := range s {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_.", c))
	}
	if !ok {
		return fmt.Errorf("is not a name: 1 to 64 letters, digits, '-', '_' or '.' are allowed")
	}
	return nil
}

func hexID(s string) error {
	if s == "" {
		return nil
	}
	if _, err := dht.ParseID(s); err != nil {
		return fmt.Errorf("is not an identifier: 1 to 32 hexadecimal digits are allowed")
	}
	return nil
}

// Kinds of multiaddrs, by what is written at their end.
func ownAddress(s string) error {
	form, err := addressForm(s)
	switch {
	case err != nil:
		return err
	case strings.HasSuffix(form, "/p2p"):
		return fmt.Errorf("names a peer, which is this node itself: leave /p2p/ and what follows out")
	}
	return nil
}

func memberAddress(s string) error {
	form, err := addressForm(s)
	switch {
	case err != nil:
		return err
	case strings.Contains(form, "/udp") && !strings.HasSuffix(form, "/p2p"):
		return fmt.Errorf("does not say who is there: over UDP, /p2p/PEER-ID is needed at the end")
	}
	return nil
}

// addressForm checks that nodes can speak over a multiaddr and returns the names of
// its protocols.
func addressForm(s string) (string, error) {
	addr, err := multiaddr.NewMultiaddr(s)
	if err != nil {
		return "", fmt.Errorf("is not a multiaddr: the form is /ip4/127.0.0.1/tcp/4001 or /dns4/host/tcp/4001/p2p/PEER-ID")
	}
	form := ""
	for _, part := range addr {
		form += "/" + part.Protocol().Name
	}
	allowed := regexp.MustCompile(`^(/ip6zone)?/(ip4|ip6|dns|dns4|dns6)/(tcp|udp/quic-v1)(/p2p)?$`)
	if !allowed.MatchString(form) {
		return "", fmt.Errorf("is not an address that nodes can speak over: a host (/ip4, /ip6, /dns4 or /dns6) with /tcp/PORT or /udp/PORT/quic-v1 is allowed")
	}
	return form, nil
}
