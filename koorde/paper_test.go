package koorde_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"dyschord/dht"
	"dyschord/dht/dhttest/paper"
	"dyschord/koorde"
)

// TestPaper replays the graph, the ring and the lookups of the Koorde paper, and a
// small ring for teaching. Rewrite the expected output with go test ./koorde -run
// TestPaper -rewrite, and read the difference against the paper.
//
// Commands, beside those of [paper.Replay]:
//
//	ring bits=4 degree=2 pointers=2 successors=1   a new world
//	pointers 8                                     the de Bruijn pointers of a node
func TestPaper(t *testing.T) {
	paper.Replay(t, "testdata", paper.Play{
		New: func(space dht.Space, d *datadriven.TestData) (dht.Factory, error) {
			cfg := koorde.Config{Space: space, Refresh: 1}
			d.ScanArgs(t, "degree", &cfg.Degree)
			d.MaybeScanArgs(t, "pointers", &cfg.Pointers)
			d.ScanArgs(t, "successors", &cfg.Successors)
			return koorde.Factory(cfg)
		},
		Commands: map[string]func(*paper.Stage, *datadriven.TestData) string{"pointers": paperPointers},
	})
}

func paperPointers(s *paper.Stage, d *datadriven.TestData) string {
	var out strings.Builder
	m := s.Member(d)
	list, anchor := m.Overlay.(*koorde.Node).Pointers()
	sections := m.Overlay.Table().Sections
	fmt.Fprintf(&out, "%s\n", sections[len(sections)-1].Name)
	for i, p := range list {
		mark := ""
		if i == anchor {
			mark = " anchor"
		}
		fmt.Fprintf(&out, "N%s%s\n", paper.Decimal(p), mark)
	}
	return out.String()
}
