package chord_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"dyschord/chord"
	"dyschord/dht"
	"dyschord/dht/dhttest"
	"dyschord/net/simnet"
)

// TestPaper replays the figures of the Chord papers, and a small ring for teaching.
// Rewrite the expected output with go test ./chord -run TestPaper -rewrite, and read
// the difference against the paper.
//
// Commands:
//
//	ring bits=6 successors=1   a new world of one-digit latency: 10 ms each way
//	nodes 1 8 14               these nodes, with perfect tables
//	join 26 via=1              a node joins; returns when it has
//	crash 3 · leave 3          a node fails, or says good-bye
//	run 30s                    virtual time passes
//	ring-of                    predecessor and successors of every node
//	fingers 8                  the finger table as the paper prints it
//	owner 10 24                which nodes the keys belong to
//	lookup 54 from=8           the way of a lookup, and why each hop was taken
func TestPaper(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &stage{t: t}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return s.play(d) })
	})
}

// stage is the world of one file.
type stage struct {
	t     *testing.T
	c     *dhttest.Cluster
	space dht.Space
}

func (s *stage) play(d *datadriven.TestData) string {
	switch d.Cmd {
	case "ring":
		s.build(d)
	case "nodes":
		for _, id := range numbers(s.t, d) {
			s.c.PrefillID(id)
		}
		s.c.Perfect()
	case "join":
		return s.join(d)
	case "crash":
		s.c.Crash(s.node(numbers(s.t, d)[0]))
	case "leave":
		s.c.Leave(s.node(numbers(s.t, d)[0]))
	case "run":
		span, err := time.ParseDuration(d.CmdArgs[0].Key)
		if err != nil {
			d.Fatalf(s.t, "%v", err)
		}
		s.c.Run(span, nil)
	case "ring-of":
		return s.ring()
	case "fingers":
		return s.fingers(s.node(numbers(s.t, d)[0]))
	case "owner":
		return s.owners(d)
	case "lookup":
		return s.lookup(d)
	default:
		d.Fatalf(s.t, "unknown command %q", d.Cmd)
	}
	return ""
}

func (s *stage) build(d *datadriven.TestData) {
	var successors int
	d.ScanArgs(s.t, "bits", &s.space.Bits)
	d.ScanArgs(s.t, "successors", &successors)
	s.space.Hash = dht.Trivial
	factory, err := chord.Factory(chord.Config{Space: s.space, Successors: successors, Fingers: 1})
	if err != nil {
		d.Fatalf(s.t, "%v", err)
	}
	world := simnet.Config{Seed: 1, Space: s.space, Latency: simnet.Constant(10 * time.Millisecond), CheckCodec: true}
	s.c = dhttest.NewCluster(s.t, world, factory, dht.Successors)
}

func (s *stage) join(d *datadriven.TestData) string {
	var via uint64
	d.ScanArgs(s.t, "via", &via)
	m := s.c.AddID(numbers(s.t, d)[0], s.node(via))
	began := s.c.Net.Now()
	if !s.c.Run(time.Minute, func() bool { return m.Joined }) {
		d.Fatalf(s.t, "it did not join")
	}
	return fmt.Sprintf("joined after %v\n", s.c.Net.Now()-began)
}

func (s *stage) ring() string {
	var out strings.Builder
	for _, m := range s.c.Live() {
		n := m.Overlay.(*chord.Node)
		pred := "-"
		if p := n.Predecessor(); !p.IsZero() {
			pred = decimal(p)
		}
		var succ []string
		for _, p := range n.Successors() {
			succ = append(succ, decimal(p))
		}
		fmt.Fprintf(&out, "N%s: predecessor %s, successors %s\n", decimal(m.Peer()), pred, strings.Join(succ, " "))
	}
	return out.String()
}

func (s *stage) fingers(m *dhttest.Member) string {
	var out strings.Builder
	n, id := m.Overlay.(*chord.Node), m.Peer().ID
	for i := range int(s.space.Width()) {
		start := s.space.Add(id, s.space.Pow2(uint(i)))
		fmt.Fprintf(&out, "N%s+%d = %d: N%s\n", decimal(m.Peer()), 1<<i, start.Lo(), decimal(n.Finger(i)))
	}
	return out.String()
}

func (s *stage) owners(d *datadriven.TestData) string {
	var out strings.Builder
	for _, arg := range d.CmdArgs {
		route, err := s.c.Lookup(s.c.Live()[0], s.space.KeyID([]byte(arg.Key)), 1)
		if err != nil {
			d.Fatalf(s.t, "%v", err)
		}
		fmt.Fprintf(&out, "K%s: N%s\n", arg.Key, decimal(route.Owners[0]))
	}
	return out.String()
}

func (s *stage) lookup(d *datadriven.TestData) string {
	var from uint64
	d.ScanArgs(s.t, "from", &from)
	m := s.node(from)
	route, err := s.c.Lookup(m, s.space.KeyID([]byte(d.CmdArgs[0].Key)), 1)
	var out strings.Builder
	fmt.Fprintf(&out, "N%d\n", from)
	for _, h := range route.Hops {
		fmt.Fprintf(&out, "N%s: %s\n", decimal(h.Peer), m.Overlay.Explain(h.Why))
	}
	if err != nil {
		fmt.Fprintf(&out, "%v\n", err)
	}
	if route.Timeouts > 0 {
		fmt.Fprintf(&out, "%d time-outs\n", route.Timeouts)
	}
	return out.String()
}

func (s *stage) node(id uint64) *dhttest.Member {
	i := slices.IndexFunc(s.c.Members, func(m *dhttest.Member) bool { return m.Peer().ID.Lo() == id })
	if i < 0 {
		s.t.Fatalf("there is no node %d", id)
	}
	return s.c.Members[i]
}

func decimal(p dht.Peer) string { return fmt.Sprint(p.ID.Lo()) }

// numbers are the arguments without a name.
func numbers(t *testing.T, d *datadriven.TestData) []uint64 {
	var out []uint64
	for _, arg := range d.CmdArgs {
		var n uint64
		if len(arg.Vals) > 0 {
			continue
		}
		if _, err := fmt.Sscan(arg.Key, &n); err != nil {
			d.Fatalf(t, "%q: %v", arg.Key, err)
		}
		out = append(out, n)
	}
	return out
}
