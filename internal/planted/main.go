package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	pattern := flag.String("run", "", "only the bugs whose name matches this regular expression")
	markdown := flag.Bool("markdown", false, "print the table as Markdown")
	flag.Parse()
	if err := run(context.Background(), *pattern, *markdown); err != nil {
		fmt.Fprintln(os.Stderr, "planted:", err)
		os.Exit(1)
	}
}

// result is what happened to one bug.
type result struct {
	bug    bug
	caught bool
	by     string // the failing test, or why it was not caught
	seed   string
	took   time.Duration
}

func run(ctx context.Context, pattern string, markdown bool) error {
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	bugs, err := load(filepath.Join(root, "internal/planted/testdata"))
	if err != nil {
		return err
	}
	bugs = slices.DeleteFunc(bugs, func(b bug) bool { return !re.MatchString(b.name) })
	if len(bugs) == 0 {
		return fmt.Errorf("no planted bug matches %q", pattern)
	}
	if err := healthy(ctx, root, bugs); err != nil {
		return err
	}
	var results []result
	for _, b := range bugs {
		r, err := try(ctx, root, b)
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "%-40s %s\n", b.name, r.verdict())
		results = append(results, r)
	}
	return report(results, markdown)
}

func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	return filepath.Dir(strings.TrimSpace(string(out))), err
}

// healthy runs the tests without any bug: a catcher that fails anyway proves nothing.
func healthy(ctx context.Context, root string, bugs []bug) error {
	done := map[string]bool{}
	for _, b := range bugs {
		key := strings.Join(b.test, " ")
		if done[key] {
			continue
		}
		done[key] = true
		out, err := goTest(ctx, root, "", b.test)
		if err != nil {
			return fmt.Errorf("go test %s fails without any planted bug:\n%s", key, out)
		}
		if bytes.Contains(out, []byte("no tests to run")) {
			return fmt.Errorf("go test %s, named by %s, runs no test", key, b.name)
		}
	}
	return nil
}

func try(ctx context.Context, root string, b bug) (result, error) {
	texts, err := b.apply(root)
	if err != nil {
		return result{}, err
	}
	dir, err := os.MkdirTemp("", "planted-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	overlay, err := writeOverlay(root, dir, texts)
	if err != nil {
		return result{}, err
	}
	start := time.Now()
	out, err := goTest(ctx, root, overlay, b.test)
	r := judge(b, string(out), err)
	r.took = time.Since(start)
	return r, nil
}

func writeOverlay(root, dir string, texts map[string]string) (string, error) {
	replace := map[string]string{}
	for file, text := range texts {
		path := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(root, file)] = path
	}
	raw, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, raw, 0o600)
}

func goTest(ctx context.Context, root, overlay string, test []string) ([]byte, error) {
	args := []string{"test", "-count=1", "-timeout=5m", "-vet=off"}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, test...)...)
	cmd.Dir = root
	return cmd.CombinedOutput()
}

var (
	failLine = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)
	seedWord = regexp.MustCompile(`(?i)\bseed[ =:]+(\d+)`)
)

// judge accepts a failed assertion or a panic of a test, but neither a failure to
// build nor a test that hung: those say nothing of the suite.
func judge(b bug, out string, err error) result {
	r := result{bug: b}
	var exit *exec.ExitError
	switch {
	case err == nil:
		r.by = "no test failed"
	case !errors.As(err, &exit):
		r.by = err.Error()
	case strings.Contains(out, "[build failed]") || strings.Contains(out, "[setup failed]"):
		r.by = "does not build"
	case strings.Contains(out, "panic: test timed out"):
		r.by = "the test hung"
	default:
		r.caught = true
		r.by = strings.Join(b.test, " ")
		if m := failLine.FindAllStringSubmatch(out, -1); m != nil {
			r.by = m[len(m)-1][1]
		}
		if m := seedWord.FindStringSubmatch(out); m != nil {
			r.seed = m[1]
		}
	}
	return r
}

func (r result) verdict() string {
	if r.caught {
		return "caught by " + r.by
	}
	return "NOT CAUGHT: " + r.by
}

func report(results []result, markdown bool) error {
	missed := 0
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { fmt.Fprintln(w, strings.Join(cells, "\t")) }
	if markdown {
		row = func(cells ...string) { fmt.Fprintln(w, "| "+strings.Join(cells, " | ")+" |") }
	}
	row("bug", "what is wrong", "caught by", "seed", "took")
	if markdown {
		row("---", "---", "---", "---", "---")
	}
	for _, r := range results {
		if !r.caught {
			missed++
			r.by = "NOT CAUGHT: " + r.by
		}
		row(r.bug.name, r.bug.what, r.by, r.seed, r.took.Round(100*time.Millisecond).String())
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if missed > 0 {
		return fmt.Errorf("%d of %d planted bugs went unnoticed", missed, len(results))
	}
	fmt.Printf("%d of %d planted bugs caught\n", len(results), len(results))
	return nil
}
