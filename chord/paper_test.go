package chord_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"dyschord/chord"
	"dyschord/dht"
	"dyschord/dht/dhttest/paper"
)

// TestPaper replays the figures of the Chord papers, and a small ring for teaching.
// Rewrite the expected output with go test ./chord -run TestPaper -rewrite, and read
// the difference against the paper.
//
// Commands, beside those of [paper.Replay]:
//
//	ring bits=6 successors=1   a new world
//	fingers 8                  the finger table as the paper prints it
func TestPaper(t *testing.T) {
	paper.Replay(t, "testdata", paper.Play{
		New: func(space dht.Space, d *datadriven.TestData) (dht.Factory, error) {
			var successors int
			d.ScanArgs(t, "successors", &successors)
			return chord.Factory(chord.Config{Space: space, Successors: successors, Fingers: 1})
		},
		Commands: map[string]func(*paper.Stage, *datadriven.TestData) string{"fingers": paperFingers},
	})
}

func paperFingers(s *paper.Stage, d *datadriven.TestData) string {
	var out strings.Builder
	m := s.Member(d)
	n, id := m.Overlay.(*chord.Node), m.Peer().ID
	for i := range int(s.Space.Width()) {
		start := s.Space.Add(id, s.Space.Pow2(uint(i)))
		fmt.Fprintf(&out, "N%s+%d = %d: N%s\n", paper.Decimal(m.Peer()), 1<<i, start.Lo(), paper.Decimal(n.Finger(i)))
	}
	return out.String()
}
