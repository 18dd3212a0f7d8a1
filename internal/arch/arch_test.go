package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "dyschord"

// allowed names, for each package, the project's packages that its code may
// import; a trailing "/..." takes in what is below. Tests may import anything.
var allowed = map[string][]string{
	"dht":                {},
	"dht/lookup":         {"dht"},
	"dht/ring":           {"dht"},
	"dht/dhttest":        {"dht", "net/simnet", "net/wire"},
	"dht/dhttest/paper":  {"dht", "dht/dhttest", "net/simnet"},
	"dht/overlays":       {"dht", "dht/lookup", "chord", "kademlia", "koorde"},
	"dht/lab":            {"dht/...", "net/simnet", "kv"},
	"chord":              {"dht", "dht/lookup", "dht/ring"},
	"kademlia":           {"dht", "dht/lookup"},
	"koorde":             {"dht", "dht/lookup", "dht/ring"},
	"net/wire":           {"dht"},
	"net/simnet":         {"dht", "net/wire", "internal/rto"},
	"net/p2p":            {"dht", "net/wire", "internal/rto"},
	"kv":                 {"dht", "kv/store"},
	"kv/store":           {},
	"kv/store/storetest": {"kv/store"},
	"kv/gateway":         {"dht", "kv"},
	"kv/client":          {},
	"kv/node":            {"..."},
	"cmd/dyschord":       {"..."},
	"e2e":                {"..."},
	"docs/onehop":        {"dht", "dht/lookup", "dht/ring"},
	"internal/arch":      {},
	"internal/envtest":   {"dht"},
	"internal/kvmodel":   {},
	"internal/planted":   {},
	"internal/rto":       {"dht"},
}

// doors names the only packages that may import a module. Tests are not exempt.
var doors = map[string][]string{
	"github.com/libp2p/":            {"net/p2p", "e2e"},
	"github.com/spf13/":             {"cmd/dyschord"},
	"github.com/cockroachdb/pebble": {"kv/store", "kv/store/storetest"},
	"github.com/prometheus/":        {"kv/gateway", "kv/node"},
}

// protocol lists the packages that see the world through dht.Env alone.
var protocol = []string{"dht", "dht/lookup", "dht/ring", "chord", "kademlia", "koorde", "kv", "docs/onehop"}

var topLevel = []string{"dht", "chord", "kademlia", "koorde", "net", "kv", "cmd", "e2e", "internal", "docs", "deploy"}

// source is one parsed file of the project.
type source struct {
	path string // from the project's root
	pkg  string // its folder
	test bool
	file *ast.File
	fset *token.FileSet
}

func parse(path, text string) (source, error) {
	fset := token.NewFileSet()
	var src any
	if text != "" {
		src = text
	}
	file, err := parser.ParseFile(fset, filepath.Join("../..", path), src, parser.ParseComments)
	return source{path, filepath.Dir(path), strings.HasSuffix(path, "_test.go"), file, fset}, err
}

func project(t *testing.T) []source {
	var all []source
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "testdata" || strings.HasPrefix(name, ".") && name != ".." && name != ".") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		rel, _ := filepath.Rel("../..", path)
		s, err := parse(filepath.ToSlash(rel), "")
		all = append(all, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (s source) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.path, s.fset.Position(n.Pos()).Line)
}

func importFaults(s source) (faults []string) {
	arrows, known := allowed[s.pkg]
	if !known {
		return []string{s.path + ": the package has no line in the table of allowed imports"}
	}
	for _, spec := range s.file.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		if ours, ok := strings.CutPrefix(path, module+"/"); ok && !s.test && !permits(arrows, ours) {
			faults = append(faults, fmt.Sprintf("%s: %s may not import %s", s.at(spec), s.pkg, ours))
		}
		for prefix, rooms := range doors {
			if strings.HasPrefix(path, prefix) && !slices.Contains(rooms, s.pkg) {
				faults = append(faults, fmt.Sprintf("%s: only %s may import %s", s.at(spec), strings.Join(rooms, ", "), path))
			}
		}
	}
	return faults
}

func permits(arrows []string, pkg string) bool {
	return slices.ContainsFunc(arrows, func(a string) bool {
		below, tree := strings.CutSuffix(a, "...")
		return a == pkg || tree && strings.HasPrefix(pkg+"/", below)
	})
}

// forbidden lists what protocol code may not name, by import path; nil is all of it.
var forbidden = map[string][]string{
	"sync":         nil,
	"sync/atomic":  nil,
	"os":           nil,
	"net":          nil,
	"math/rand":    nil,
	"time":         {"Now", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Since", "Until"},
	"context":      {"WithTimeout", "WithTimeoutCause", "WithDeadline", "WithDeadlineCause", "WithCancel", "WithCancelCause", "AfterFunc"},
	"math/rand/v2": {"Int", "IntN", "Int32", "Int32N", "Int64", "Int64N", "Uint32", "Uint32N", "Uint64", "Uint64N", "UintN", "N", "Float32", "Float64", "NormFloat64", "ExpFloat64", "Perm", "Shuffle", "New", "NewPCG", "NewChaCha8", "NewZipf"},
}

func protocolFaults(s source) (faults []string) {
	if s.test || !slices.Contains(protocol, s.pkg) {
		return nil
	}
	names := map[string]string{} // local name of an import -> path
	for _, spec := range s.file.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		if banned, ok := forbidden[path]; ok && banned == nil {
			faults = append(faults, fmt.Sprintf("%s: protocol code may not import %s", s.at(spec), path))
		}
		local := strings.TrimSuffix(path, "/v2")
		local = local[strings.LastIndex(local, "/")+1:]
		if spec.Name != nil {
			local = spec.Name.Name
		}
		names[local] = path
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		what := ""
		switch n := n.(type) {
		case *ast.GoStmt:
			what = "a go statement"
		case *ast.SelectStmt:
			what = "a select statement"
		case *ast.ChanType:
			what = "a channel"
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && slices.Contains(forbidden[names[x.Name]], n.Sel.Name) {
				what = x.Name + "." + n.Sel.Name
			}
		}
		if what != "" {
			faults = append(faults, fmt.Sprintf("%s: %s in protocol code; dht.Env has what is needed", s.at(n), what))
		}
		return true
	})
	return faults
}

func sleepFaults(s source) (faults []string) {
	ast.Inspect(s.file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && s.test && sel.Sel.Name == "Sleep" {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" {
				faults = append(faults, s.at(n)+": a test that sleeps; poll a condition with a deadline")
			}
		}
		return true
	})
	return faults
}

func TestTheHouseRulesHold(t *testing.T) {
	files := project(t)
	if len(files) < 10 {
		t.Fatalf("only %d files found: the walk is broken", len(files))
	}
	for _, s := range files {
		for _, rule := range []func(source) []string{importFaults, protocolFaults, sleepFaults} {
			for _, fault := range rule(s) {
				t.Error(fault)
			}
		}
	}
}

func TestEveryPackageIntroducesItself(t *testing.T) {
	docs := map[string]int{}
	for _, s := range project(t) {
		if s.test {
			continue
		}
		docs[s.pkg] += 0
		if s.file.Doc != nil {
			docs[s.pkg]++
			if filepath.Base(s.path) != "doc.go" {
				t.Errorf("%s: the package comment belongs in doc.go", s.path)
			}
		}
		if name := s.file.Name.Name; slices.Contains([]string{"net", "util", "utils", "common", "types", "helpers"}, name) {
			t.Errorf("%s: a package called %s says nothing", s.path, name)
		}
	}
	for pkg, n := range docs {
		if n != 1 {
			t.Errorf("package %s has %d package comments, not one", pkg, n)
		}
		if top, _, _ := strings.Cut(pkg, "/"); !slices.Contains(topLevel, top) {
			t.Errorf("package %s stands outside the project's folders", pkg)
		}
	}
}

// Each rule must see what it is there for.
func TestTheRulesCanFail(t *testing.T) {
	for _, c := range []struct {
		path, text string
		rule       func(source) []string
		faults     int
	}{
		{"chord/x.go", `package chord; import _ "dyschord/koorde"`, importFaults, 1},
		{"chord/x.go", `package chord; import _ "dyschord/dht/ring"`, importFaults, 0},
		{"chord/x_test.go", `package chord; import _ "dyschord/net/simnet"`, importFaults, 0},
		{"dht/lab/x.go", `package lab; import _ "dyschord/dht/lookup"; import _ "dyschord/dht"; import _ "dyschord/dhtx"`, importFaults, 1},
		{"kv/x_test.go", `package kv; import _ "github.com/libp2p/go-libp2p"`, importFaults, 1},
		{"kv/node/x.go", `package node; import _ "github.com/spf13/viper"`, importFaults, 1},
		{"chord/new/x.go", `package new`, importFaults, 1},
		{"chord/x.go", `package chord; func f() { go f() }`, protocolFaults, 1},
		{"chord/x.go", `package chord; func f() { select {} }`, protocolFaults, 1},
		{"kv/x.go", `package kv; var c chan int`, protocolFaults, 1},
		{"kv/x.go", `package kv; import "sync"; var c sync.Mutex`, protocolFaults, 1},
		{"kv/x.go", `package kv; import "time"; var c = time.Now`, protocolFaults, 1},
		{"kv/x.go", `package kv; import "time"; var c time.Duration`, protocolFaults, 0},
		{"dht/x.go", `package dht; import r "math/rand/v2"; var c = r.IntN(3); var d *r.Rand`, protocolFaults, 1},
		{"kv/gateway/x.go", `package gateway; import "time"; var c = time.Now`, protocolFaults, 0},
		{"kv/x_test.go", `package kv; import "time"; func f() { time.Sleep(1) }`, sleepFaults, 1},
	} {
		s, err := parse(c.path, c.text)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.rule(s); len(got) != c.faults {
			t.Errorf("%s: %s: faults %q, want %d", c.path, c.text, got, c.faults)
		}
	}
}
