package paper

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"dyschord/dht"
	"dyschord/dht/dhttest"
	"dyschord/net/simnet"
)

// Play is how the figures of a paper on a ring overlay are replayed: see [Replay].
type Play struct {
	// New makes the overlay of command "ring", whose further arguments it may read.
	New func(space dht.Space, d *datadriven.TestData) (dht.Factory, error)
	// Commands are those of the algorithm, by name.
	Commands map[string]func(*Stage, *datadriven.TestData) string
}

// Stage is the world of one file.
type Stage struct {
	*dhttest.Cluster
	Space dht.Space
	t     *testing.T
}

// Replay plays the files of a folder against a ring overlay and compares what they
// show. With -rewrite it writes it down instead: read the difference against the paper.
// Identifiers are decimal, keys their own identifiers. Commands, beside those of the
// algorithm:
//
//	ring bits=6 ...            a new world of one-digit latency: 10 ms each way
//	nodes 1 8 14               these nodes, with perfect tables
//	join 26 via=1              a node joins; returns when it has
//	crash 3 · leave 3          a node fails, or says good-bye
//	run 30s                    virtual time passes
//	ring-of                    predecessor and successors of every node
//	owner 10 24                which nodes the keys belong to
//	lookup 54 from=8           the way of a lookup, and why each hop was taken
func Replay(t *testing.T, folder string, p Play) {
	datadriven.Walk(t, folder, func(t *testing.T, path string) {
		s := &Stage{t: t}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if command := p.Commands[d.Cmd]; command != nil {
				return command(s, d)
			}
			return s.play(p, d)
		})
	})
}

func (s *Stage) play(p Play, d *datadriven.TestData) string {
	switch d.Cmd {
	case "ring":
		s.build(p, d)
	case "nodes":
		for _, id := range s.numbers(d) {
			s.PrefillID(id)
		}
		s.Perfect()
	case "join":
		return s.join(d)
	case "crash":
		s.Crash(s.Member(d))
	case "leave":
		s.Leave(s.Member(d))
	case "run":
		span, err := time.ParseDuration(d.CmdArgs[0].Key)
		if err != nil {
			d.Fatalf(s.t, "%v", err)
		}
		s.Run(span, nil)
	case "ring-of":
		return s.ring()
	case "owner":
		return s.owners(d)
	case "lookup":
		return s.lookup(d)
	default:
		d.Fatalf(s.t, "unknown command %q", d.Cmd)
	}
	return ""
}

func (s *Stage) build(p Play, d *datadriven.TestData) {
	d.ScanArgs(s.t, "bits", &s.Space.Bits)
	s.Space.Hash = dht.Trivial
	factory, err := p.New(s.Space, d)
	if err != nil {
		d.Fatalf(s.t, "%v", err)
	}
	world := simnet.Config{Seed: 1, Space: s.Space, Latency: simnet.Constant(10 * time.Millisecond), CheckCodec: true}
	s.Cluster = dhttest.NewCluster(s.t, world, factory, dht.Successors)
}

func (s *Stage) join(d *datadriven.TestData) string {
	var via uint64
	d.ScanArgs(s.t, "via", &via)
	m := s.AddID(s.numbers(d)[0], s.at(via))
	began := s.Net.Now()
	if !s.Run(time.Minute, func() bool { return m.Joined }) {
		d.Fatalf(s.t, "it did not join")
	}
	return fmt.Sprintf("joined after %v\n", s.Net.Now()-began)
}

func (s *Stage) ring() string {
	var out strings.Builder
	for _, m := range s.Live() {
		r := m.Overlay.(dhttest.Ringed)
		pred := "-"
		if p := r.Predecessor(); !p.IsZero() {
			pred = Decimal(p)
		}
		var succ []string
		for _, p := range r.Successors() {
			succ = append(succ, Decimal(p))
		}
		fmt.Fprintf(&out, "N%s: predecessor %s, successors %s\n", Decimal(m.Peer()), pred, strings.Join(succ, " "))
	}
	return out.String()
}

func (s *Stage) owners(d *datadriven.TestData) string {
	var out strings.Builder
	for _, arg := range d.CmdArgs {
		route, err := s.Lookup(s.Live()[0], s.Space.KeyID([]byte(arg.Key)), 1)
		if err != nil {
			d.Fatalf(s.t, "%v", err)
		}
		fmt.Fprintf(&out, "K%s: N%s\n", arg.Key, Decimal(route.Owners[0]))
	}
	return out.String()
}

func (s *Stage) lookup(d *datadriven.TestData) string {
	var from uint64
	d.ScanArgs(s.t, "from", &from)
	m := s.at(from)
	route, err := s.Lookup(m, s.Space.KeyID([]byte(d.CmdArgs[0].Key)), 1)
	var out strings.Builder
	fmt.Fprintf(&out, "N%d\n", from)
	for _, h := range route.Hops {
		fmt.Fprintf(&out, "N%s: %s\n", Decimal(h.Peer), m.Overlay.Explain(h.Why))
	}
	if err != nil {
		fmt.Fprintf(&out, "%v\n", err)
	}
	if route.Timeouts > 0 {
		fmt.Fprintf(&out, "%d time-outs\n", route.Timeouts)
	}
	return out.String()
}

// Member is the node that is the first argument of a command.
func (s *Stage) Member(d *datadriven.TestData) *dhttest.Member { return s.at(s.numbers(d)[0]) }

func (s *Stage) at(id uint64) *dhttest.Member {
	i := slices.IndexFunc(s.Members, func(m *dhttest.Member) bool { return m.Peer().ID.Lo() == id })
	if i < 0 {
		s.t.Fatalf("there is no node %d", id)
	}
	return s.Members[i]
}

// Decimal writes an identifier of at most 64 bits as the papers do.
func Decimal(p dht.Peer) string { return fmt.Sprint(p.ID.Lo()) }

// numbers are the arguments without a name.
func (s *Stage) numbers(d *datadriven.TestData) []uint64 {
	var out []uint64
	for _, arg := range d.CmdArgs {
		var n uint64
		if len(arg.Vals) > 0 {
			continue
		}
		if _, err := fmt.Sscan(arg.Key, &n); err != nil {
			d.Fatalf(s.t, "%q: %v", arg.Key, err)
		}
		out = append(out, n)
	}
	return out
}
