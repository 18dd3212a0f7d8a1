package arch

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The example of docs/algorithms.md is a module of its own, as an overlay of somebody
// else's would be: it uses what the project offers to everybody.
const example = "../../docs/onehop"

// maxExample bounds the example's code, comments and blank lines included: that an
// overlay is little work is a promise.
const maxExample = 300

func TestTheExampleIsSmall(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(example, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, name := range files {
		if text := read(t, name); !strings.HasSuffix(name, "_test.go") {
			lines += strings.Count(text, "\n")
		}
	}
	if lines < maxExample/2 || lines >= maxExample {
		t.Errorf("the example has %d lines, not %d to %d", lines, maxExample/2, maxExample-1)
	}
	if says := fmt.Sprintf("%d lines", lines); !strings.Contains(read(t, "../../docs/algorithms.md"), says) {
		t.Errorf("the example has %s, and docs/algorithms.md says something else", says)
	}
}

// The conformance suite and the experiments of the example, with nothing skipped. All
// it needs is in the module cache once the project has been built.
func TestTheExamplePasses(t *testing.T) {
	out := run(t, "go", "test", "-v", "-count=1", "./...")
	for _, must := range []string{"TestConformance/iterative/", "TestConformance/recursive/", "TestStaticLookupsAreOneHop", "TestChurnCostsFewHops"} {
		if !strings.Contains(out, "--- PASS: "+must) {
			t.Errorf("%s did not pass or did not run", must)
		}
	}
	if strings.Contains(out, "--- SKIP") {
		t.Errorf("something was skipped:\n%s", out)
	}
	run(t, "go", "vet", "./...")
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = example
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOPROXY=off", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s in %s: %v\n%s", strings.Join(cmd.Args, " "), example, err, out)
	}
	return string(out)
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What the walk-through quotes is what stands in the files that it names.
func TestTheWalkthroughQuotesTheExample(t *testing.T) {
	quotes, err := quoted(read(t, "../../docs/algorithms.md"))
	if err != nil {
		t.Fatal(err)
	}
	if len(quotes) < 5 {
		t.Errorf("%d quotations: is the page written in another way now?", len(quotes))
	}
	for _, q := range quotes {
		if !strings.Contains(read(t, filepath.Join("../../docs", q.file)), q.text) {
			t.Errorf("docs/algorithms.md, line %d: this does not stand in docs/%s:\n%s", q.line, q.file, q.text)
		}
	}
}

type quotation struct {
	file, text string
	line       int
}

// quoted finds the blocks that name a file, relative to docs, after the language. Go
// code must name one.
func quoted(text string) (all []quotation, err error) {
	var open *quotation
	var body bytes.Buffer
	number, inside := 0, false
	for line := range strings.Lines(text) {
		number++
		lang, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.HasPrefix(lang, "```") {
			inside = !inside
		}
		switch {
		case open != nil && !inside:
			open.text = body.String()
			all, open = append(all, *open), nil
		case open != nil:
			body.WriteString(line)
		case inside && lang == "```go" && file == "":
			return nil, fmt.Errorf("line %d: Go code that names no file", number)
		case inside && strings.HasPrefix(lang, "```") && file != "":
			open = &quotation{file: file, line: number}
			body.Reset()
		}
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: a block without end", open.line)
	}
	return all, nil
}
