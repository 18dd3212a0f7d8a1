package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The table of steps names functions that package kv has.
func TestTheTableOfStepsNamesFunctions(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, row := range regexp.MustCompile(`(?m)^//\t[a-z].*  (\w+\.go: .*)$`).FindAllStringSubmatch(string(doc), -1) {
		for part := range strings.SplitSeq(row[1], "; ") {
			file, functions, _ := strings.Cut(part, ": ")
			code, err := os.ReadFile(filepath.Join("../../kv", file))
			if err != nil {
				t.Error(err)
				continue
			}
			for f := range strings.SplitSeq(functions, ", ") {
				named++
				if !regexp.MustCompile(`(?m)^func (\([^)]*\) )?` + f + `\(`).Match(code) {
					t.Errorf("kv/%s has no function %s", file, f)
				}
			}
		}
	}
	if named < 30 {
		t.Errorf("only %d functions were found in the table", named)
	}
}

func TestBoundsAreChecked(t *testing.T) {
	for _, args := range []string{
		"-nodes 0", "-nodes 5", "-genesis 4", "-late 3", "-sizes 4", "-sizes x", "-epochs 5", "-epochs 0", "-proposals 5",
		"-writes 4 -keys aaaa", "-writes 2 -keys a", "-keys abc", "-off nothing", "-without nothing", "more",
	} {
		if _, _, err := parse(strings.Fields(args)); err == nil {
			t.Errorf("%s: accepted", args)
		}
	}
	var b strings.Builder
	if err := run(strings.Fields("-sizes 1 -writes 1 -crashes 0 -proposals 1 -reads 1 -off sparse -without read-without-confirmation"), &b); err == nil || !strings.Contains(b.String(), "a read begins at A") {
		t.Errorf("a wrong guard: %v\n%s", err, &b)
	}
	b.Reset()
	if err := run(strings.Fields("-nodes 1 -genesis 1 -sizes 1 -crashes 0"), &b); err != nil || !strings.Contains(b.String(), "every state within the bounds") {
		t.Errorf("one node: %v\n%s", err, &b)
	}
	b.Reset()
	if err := run(strings.Fields("-walks 20 -nodes 4 -epochs 4 -proposals 4"), &b); err != nil || !strings.Contains(b.String(), "20 walks: no invariant was broken") {
		t.Errorf("walks: %v\n%s", err, &b)
	}
	b.Reset()
	if err := run(strings.Fields("-limit 1000"), &b); err != nil || !strings.Contains(b.String(), "stopped at 1000 states") {
		t.Errorf("a limit: %v\n%s", err, &b)
	}
}
