package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// bug is one planted bug.
type bug struct {
	name  string // folder/file without the ending
	what  string
	test  []string // arguments of go test
	edits []edit
}

type edit struct{ file, old, new string }

// load reads every bug below dir, in the order of their names.
func load(dir string) ([]bug, error) {
	var bugs []bug
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b, err := parse(string(text))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		rel, _ := filepath.Rel(dir, path)
		b.name = strings.TrimSuffix(filepath.ToSlash(rel), ".txt")
		bugs = append(bugs, b)
		return nil
	})
	return bugs, err
}

func parse(text string) (bug, error) {
	var b bug
	var part *string
	var file string
	for line := range strings.Lines(text) {
		bare := strings.TrimSpace(line)
		mark, isMark := strings.CutPrefix(bare, "-- ")
		mark, closed := strings.CutSuffix(mark, " --")
		switch isMark = isMark && closed; {
		case isMark && strings.HasPrefix(mark, "file "):
			file, part = strings.TrimPrefix(mark, "file "), nil
		case isMark && mark == "old" && file != "":
			b.edits = append(b.edits, edit{file: file})
			part = &b.edits[len(b.edits)-1].old
		case isMark && mark == "new" && len(b.edits) > 0:
			part = &b.edits[len(b.edits)-1].new
		case part != nil:
			*part += line
		case strings.HasPrefix(bare, "what:"):
			b.what = strings.TrimSpace(strings.TrimPrefix(bare, "what:"))
		case strings.HasPrefix(bare, "test:"):
			b.test = strings.Fields(strings.TrimPrefix(bare, "test:"))
		case bare != "":
			return b, fmt.Errorf("unexpected line %q", bare)
		}
	}
	if b.what == "" || len(b.test) == 0 || len(b.edits) == 0 {
		return b, errors.New("what, test and at least one edit are needed")
	}
	return b, nil
}

// apply returns the edited text of every file the bug touches, below root.
func (b bug) apply(root string) (map[string]string, error) {
	texts := map[string]string{}
	for _, e := range b.edits {
		text, ok := texts[e.file]
		if !ok {
			raw, err := os.ReadFile(filepath.Join(root, e.file))
			if err != nil {
				return nil, err
			}
			text = string(raw)
		}
		if n := strings.Count(text, e.old); n != 1 {
			return nil, fmt.Errorf("%s: the old text occurs %d times in %s, not once", b.name, n, e.file)
		}
		texts[e.file] = strings.Replace(text, e.old, e.new, 1)
	}
	return texts, nil
}
