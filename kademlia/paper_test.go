package kademlia

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"dyschord/dht"
	"dyschord/dht/dhttest"
	"dyschord/dht/lookup"
	"dyschord/net/simnet"
)

// TestPaper replays the figures and rules of the Kademlia paper, and a small overlay
// for teaching. Rewrite the expected output with go test ./kademlia -run TestPaper
// -rewrite, and read the difference against the paper. Identifiers are binary.
//
// Commands:
//
//	overlay bits=5 k=1 siblings=1 answers=1   a new world, 10 ms each way, with so many
//	                                candidates per answer; if "still", without upkeep
//	nodes 00110 10100               these nodes, with perfect tables
//	only 00110 10100 00100          the first node has the others in its table, and nobody else
//	asks 10101 of=00110             a node sends another a request, which it calls back for
//	join 00010 via=10100            a node joins; returns when it has
//	crash 10100 · leave 10100       a node fails, or says good-bye
//	run 30s                         virtual time passes
//	subtrees 00110                  which nodes are in which subtree of the figure
//	table 00110                     siblings, buckets, replacement cache
//	owners 11100 n=3                the nodes closest to a key, as all agree
//	lookup 11100 from=00110         the way of a lookup, and why each hop was taken
//	near 11100 n=3 from=00110       what a node says from memory, and whether it is sure
func TestPaper(t *testing.T) {
	datadriven.Walk(t, "testdata/paper", func(t *testing.T, path string) {
		s := &stage{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.d = d
			if s.world != nil {
				s.t = t
			}
			return s.play(t)
		})
	})
}

// stage is the world of one file, and the command that is played.
type stage struct {
	*world
	d    *datadriven.TestData
	bits int
}

func (s *stage) play(t *testing.T) string {
	switch s.d.Cmd {
	case "overlay":
		s.build(t)
	case "nodes":
		for _, id := range s.ids() {
			s.PrefillID(id)
		}
		s.Perfect()
	case "only":
		s.only()
	case "asks":
		s.call(s.ids()[0], s.id("of"), &ping{})
		s.Net.RunFor(time.Second)
	case "join":
		return s.join()
	case "crash":
		s.Crash(s.member(s.ids()[0]))
	case "leave":
		s.Leave(s.member(s.ids()[0]))
	case "run":
		span, err := time.ParseDuration(s.d.CmdArgs[0].Key)
		if err != nil {
			s.d.Fatalf(t, "%v", err)
		}
		s.Run(span, nil)
	default:
		return s.show(t)
	}
	return ""
}

func (s *stage) show(t *testing.T) string {
	switch s.d.Cmd {
	case "subtrees":
		return s.subtrees()
	case "table":
		return s.table()
	case "owners":
		return s.owners()
	case "lookup":
		return s.lookup()
	case "near":
		m := s.node(s.id("from"))
		list, sure := m.Near(dht.NewID(0, s.ids()[0]), s.number("n"))
		return fmt.Sprintf("%s, sure: %v\n", s.names(list), sure)
	}
	s.d.Fatalf(t, "unknown command %q", s.d.Cmd)
	return ""
}

func (s *stage) build(t *testing.T) {
	s.bits = s.number("bits")
	cfg := Config{
		Space: dht.Space{Bits: s.bits, Hash: dht.Trivial}, K: s.number("k"), Siblings: s.number("siblings"),
		Lookup: lookup.Config{Redundancy: s.number("answers")},
	}
	if s.d.HasArg("still") {
		cfg.Interval = time.Hour
	}
	factory, err := Factory(cfg)
	if err != nil {
		s.d.Fatalf(t, "%v", err)
	}
	net := simnet.Config{Seed: 1, Space: cfg.Space, Latency: simnet.Constant(10 * time.Millisecond), CheckCodec: true}
	s.world = &world{dhttest.NewCluster(t, net, factory, dht.Closest), t}
}

// only writes a table.
func (s *stage) only() {
	n := s.node(s.ids()[0])
	n.table = newTable(n.cfg, n.env.Self())
	for _, id := range s.ids()[1:] {
		n.table.enter(s.peer(id), 0)
	}
	n.table.confirm()
	n.agreed = n.cfg.Siblings
}

func (s *stage) join() string {
	m := s.AddID(s.ids()[0], s.member(s.id("via")))
	began := s.Net.Now()
	if !s.Run(time.Minute, func() bool { return m.Joined }) {
		s.d.Fatalf(s.t, "it did not join")
	}
	return fmt.Sprintf("joined after %v\n", s.Net.Now()-began)
}

func (s *stage) subtrees() string {
	var out strings.Builder
	self := s.ids()[0]
	for i := range s.bits {
		var there []dht.Peer
		for _, m := range s.Live() {
			if s.node(self).table.prefix(m.Peer().ID, dht.NewID(0, self)) == i {
				there = append(there, m.Peer())
			}
		}
		if len(there) > 0 {
			prefix := s.binary(self ^ 1<<(s.bits-1-i))[:i+1]
			fmt.Fprintf(&out, "%s: %s\n", prefix, s.names(there))
		}
	}
	return out.String()
}

func (s *stage) table() string {
	var out strings.Builder
	t := &s.node(s.ids()[0]).table
	fmt.Fprintf(&out, "siblings: %s\n", s.names(t.siblings))
	for i, b := range t.buckets {
		if len(b) > 0 {
			fmt.Fprintf(&out, "bucket %d: %s\n", i, s.names(b))
		}
	}
	if len(t.spare) > 0 {
		fmt.Fprintf(&out, "replacements: %s\n", s.names(t.spare))
	}
	return out.String()
}

func (s *stage) owners() string {
	key, n := dht.NewID(0, s.ids()[0]), s.number("n")
	want := s.Owners(key, n)
	for _, m := range s.Live() {
		if route, err := s.Lookup(m, key, n); err != nil || s.names(route.Owners) != s.names(want) {
			return fmt.Sprintf("%s found %s, %v, instead of %s\n", s.binary(m.Peer().ID.Lo()), s.names(route.Owners), err, s.names(want))
		}
	}
	var out strings.Builder
	for _, p := range want {
		fmt.Fprintf(&out, "%s at distance %s\n", s.names([]dht.Peer{p}), s.binary(p.ID.Xor(key).Lo()))
	}
	return out.String()
}

func (s *stage) lookup() string {
	m := s.member(s.id("from"))
	route, err := s.Lookup(m, dht.NewID(0, s.ids()[0]), 1)
	var out strings.Builder
	fmt.Fprintf(&out, "%s\n", s.binary(s.id("from")))
	for _, h := range route.Hops {
		fmt.Fprintf(&out, "%s: %s\n", s.names([]dht.Peer{h.Peer}), m.Overlay.Explain(h.Why))
	}
	if err != nil {
		fmt.Fprintf(&out, "%v\n", err)
	}
	if route.Timeouts > 0 {
		fmt.Fprintf(&out, "time-outs: %d\n", route.Timeouts)
	}
	return out.String()
}

func (s *stage) binary(id uint64) string { return fmt.Sprintf("%0*b", s.bits, id) }

func (s *stage) names(list []dht.Peer) string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = s.binary(p.ID.Lo())
	}
	return strings.Join(out, " ")
}

// ids are the arguments without a name.
func (s *stage) ids() []uint64 {
	var out []uint64
	for _, arg := range s.d.CmdArgs {
		if len(arg.Vals) == 0 {
			out = append(out, s.parse(arg.Key))
		}
	}
	return out
}

// id is the argument of that name.
func (s *stage) id(name string) uint64 {
	var text string
	s.d.ScanArgs(s.t, name, &text)
	return s.parse(text)
}

func (s *stage) parse(text string) uint64 {
	id, err := strconv.ParseUint(text, 2, s.bits)
	if err != nil || len(text) != s.bits {
		s.d.Fatalf(s.t, "%q: not %d bits", text, s.bits)
	}
	return id
}

func (s *stage) number(name string) int {
	for _, arg := range s.d.CmdArgs {
		if arg.Key == name {
			if n, err := strconv.Atoi(arg.Vals[0]); err == nil {
				return n
			}
		}
	}
	panic(fmt.Sprintf("%s: the number %q is missing", s.d.Pos, name))
}
