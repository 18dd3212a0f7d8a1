package main

import (
	"errors"
	"go/parser"
	"go/token"
	"os/exec"
	"strings"
	"testing"
)

// Applying and running all of them takes minutes and is the command's work; that
// every edit still fits the code is checked here, at every run of the tests.
func TestEveryPlantedBugStillFits(t *testing.T) {
	bugs, err := load("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bugs {
		texts, err := b.apply("../..")
		if err != nil {
			t.Error(err)
		}
		for file, text := range texts {
			if _, err := parser.ParseFile(token.NewFileSet(), file, text, 0); err != nil {
				t.Errorf("%s: %v", b.name, err)
			}
		}
		if !strings.HasPrefix(b.test[0], "./") {
			t.Errorf("%s: test %q does not begin with a package", b.name, b.test)
		}
	}
}

func TestParse(t *testing.T) {
	b, err := parse("what: w\ntest: ./x -run T\n\n-- file a.go --\n-- old --\n\tone\n-- new --\n\ttwo\n-- old --\nthree\n-- new --\n")
	if err != nil || len(b.edits) != 2 || b.edits[0] != (edit{"a.go", "\tone\n", "\ttwo\n"}) || b.edits[1] != (edit{"a.go", "three\n", ""}) {
		t.Errorf("parsed %+v, %v", b, err)
	}
	for _, text := range []string{"", "what: w\ntest: ./x\n", "what: w\nnonsense\n", "test: ./x\n-- file a --\n-- old --\nx\n"} {
		if b, err := parse(text); err == nil {
			t.Errorf("%q was read as %+v", text, b)
		}
	}
}

func TestJudgeTellsACatchFromAnAccident(t *testing.T) {
	failed := &exec.ExitError{}
	for _, c := range []struct {
		out    string
		err    error
		caught bool
		by     string
	}{
		{"ok", nil, false, "no test failed"},
		{"FAIL dyschord/x [build failed]", failed, false, "does not build"},
		{"panic: test timed out after 5m", failed, false, "the test hung"},
		{"--- FAIL: TestA (0s)\n    --- FAIL: TestA/seed_7 (0s)\n seed 7", failed, true, "TestA/seed_7"},
		{"", errors.New("no go"), false, "no go"},
	} {
		if r := judge(bug{test: []string{"./x"}}, c.out, c.err); r.caught != c.caught || r.by != c.by {
			t.Errorf("%q: %+v", c.out, r)
		}
	}
}
