package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// sizeFile is the file in dev's data directory that says how many nodes its cluster
// has. It is written when all of them have found each other and share the data: a
// start that fails before leaves none.
const sizeFile = "dev.json"

// kept is what sizeFile holds.
type kept struct {
	Nodes int `json:"nodes"`
}

// nodeDir is where node i, from 1 on, keeps its data; empty for memory.
func nodeDir(dir string, i int) string {
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "node"+strconv.Itoa(i))
}

// adoptNodes makes the nodes of an earlier run count, all of which hold data: as many
// run again, unless more are asked for.
func (l *loaded) adoptNodes() error {
	if l.settings.DataDir == "" {
		return nil
	}
	settled, err := keptNodes(l.settings.DataDir)
	if err != nil {
		return usagef("setting %s: %w: repair it, or name another directory", l.show("data-dir"), err)
	}
	highest, err := highestNode(l.settings.DataDir)
	if err != nil {
		return usagef("setting %s: %w: name a directory that can be read", l.show("data-dir"), err)
	}
	highest = max(highest, settled)
	if l.sources["nodes"].from == "default" {
		if settled > 0 {
			l.settings.Nodes = 0 // as many as there are
		}
		l.settings.Nodes = max(l.settings.Nodes, highest)
	}
	for i := 1; i <= highest; i++ {
		path := nodeDir(l.settings.DataDir, i)
		if _, err := os.Stat(path); err != nil {
			return usagef("setting %s: it keeps a cluster of %s, and %s is missing: restore it from a copy, or name another directory",
				l.show("data-dir"), count(highest, "node"), path)
		}
	}
	return l.tooFew(highest, settled > 0)
}

// tooFew refuses to run fewer nodes than hold data.
func (l *loaded) tooFew(highest int, settled bool) error {
	switch {
	case l.settings.Nodes >= highest:
		return nil
	case settled:
		return usagef("setting %s conflicts with %s: it holds the data of %s, and with fewer some of it could not be read; run at least %d, or name another directory",
			l.show("nodes"), l.show("data-dir"), count(highest, "node"), highest)
	}
	return usagef("setting %s conflicts with %s: it holds the data of %s whose first start was never finished; run at least %d to finish it, or remove the directory if nothing in it is needed",
		l.show("nodes"), l.show("data-dir"), count(highest, "node"), highest)
}

// highestNode is the highest number of a node that has a directory in dir.
func highestNode(dir string) (highest int, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	for _, e := range entries {
		text, ok := strings.CutPrefix(e.Name(), "node")
		if i, err := strconv.Atoi(text); ok && err == nil && e.Name() == "node"+strconv.Itoa(i) {
			highest = max(highest, i)
		}
	}
	return highest, nil
}

// keptNodes reads sizeFile; 0 if there is none.
func keptNodes(dir string) (int, error) {
	path := filepath.Join(dir, sizeFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var k kept
	if err := json.Unmarshal(text, &k); err != nil || k.Nodes < 1 || k.Nodes > maxDevNodes {
		return 0, fmt.Errorf(`%s is damaged: {"nodes": 1} to {"nodes": %d} is allowed`, path, maxDevNodes)
	}
	return k.Nodes, nil
}

// keepNodes writes sizeFile: after a crash it has its old or its new content.
func keepNodes(dir string, nodes int) error {
	if dir == "" {
		return nil
	}
	text, err := json.Marshal(kept{nodes})
	if err != nil {
		return err
	}
	path := filepath.Join(dir, sizeFile)
	if err := os.WriteFile(path+".tmp", append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("keep the number of nodes: %w", err)
	}
	return os.Rename(path+".tmp", path)
}
