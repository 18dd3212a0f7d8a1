package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A directory of this package holds a file formatFile, and beside it Pebble's files.
// formatFile is there exactly when Pebble's database was created completely; until
// then it is called formatNew. So a database that was lost is not taken for a new
// one, and an unfinished one is.
const (
	formatFile   = "DYSCHORD-STORE"
	formatNew    = "DYSCHORD-STORE.new"
	formatPrefix = "dyschord store, format "
	formatText   = formatPrefix + "1\n"
)

// inspect says whether dir already holds a store, or returns ErrForeign if it holds
// something else. left are the files of a store whose creation did not end.
func inspect(fsys vfs.FS, dir string) (exists bool, left []string, err error) {
	names, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil, nil
	}
	if err != nil {
		return false, nil, fmt.Errorf("store: open %s: %w", dir, err)
	}
	slices.Sort(names)
	if slices.Contains(names, formatFile) {
		return true, nil, checkFormat(fsys, dir)
	}
	begun := slices.Contains(names, formatNew)
	for _, name := range names {
		switch {
		case begun && name == formatNew || begun && name == lockFile:
		case begun && isPebble(name):
			left = append(left, name)
		default:
			return false, nil, fmt.Errorf("store: open %s: %w: it holds %q, but no %s; an empty or new directory is needed",
				dir, ErrForeign, name, formatFile)
		}
	}
	return false, left, nil
}

const lockFile = "LOCK"

// isPebble says whether Pebble gives such names to its files.
func isPebble(name string) bool {
	for _, prefix := range []string{"MANIFEST-", "OPTIONS-", "CURRENT", "marker.", "temporary."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	for _, suffix := range []string{".log", ".sst", ".blob", ".dbtmp"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

func checkFormat(fsys vfs.FS, dir string) error {
	file, err := fsys.Open(fsys.PathJoin(dir, formatFile))
	if err != nil {
		return fmt.Errorf("store: open %s: %w", dir, err)
	}
	data, err := io.ReadAll(io.LimitReader(file, 128))
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("store: read %s in %s: %w", formatFile, dir, err)
	}
	if text := string(data); text != formatText {
		return fmt.Errorf("store: open %s: %w: %s says %q, this program reads %q", dir, ErrForeign,
			formatFile, strings.TrimSpace(text), strings.TrimSpace(formatText))
	}
	return nil
}

// beginFormat marks dir as one in which a store is being created.
func beginFormat(fsys vfs.FS, dir string) error {
	if err := fsys.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("store: open %s: %w", dir, err)
	}
	file, err := fsys.Create(fsys.PathJoin(dir, formatNew), vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("store: open %s: %w", dir, err)
	}
	_, err = file.Write([]byte(formatText))
	if err := errors.Join(err, file.Sync(), file.Close(), syncDir(fsys, dir)); err != nil {
		return fmt.Errorf("store: write %s in %s: %w", formatNew, dir, err)
	}
	return nil
}

// clearUnfinished removes what is left of a store whose creation did not end. Nobody
// was told that anything is in it, and after a power cut Pebble may find some of the
// files without the others.
func clearUnfinished(fsys vfs.FS, dir string, left []string) error {
	for _, name := range left {
		if err := fsys.Remove(fsys.PathJoin(dir, name)); err != nil {
			return fmt.Errorf("store: remove %s from %s, which was never complete: %w", name, dir, err)
		}
	}
	if len(left) == 0 {
		return nil
	}
	if err := syncDir(fsys, dir); err != nil {
		return fmt.Errorf("store: sync %s: %w", dir, err)
	}
	return nil
}

// endFormat marks the store in dir as complete.
func endFormat(fsys vfs.FS, dir string) error {
	err := fsys.Rename(fsys.PathJoin(dir, formatNew), fsys.PathJoin(dir, formatFile))
	if err := errors.Join(err, syncDir(fsys, dir)); err != nil {
		return fmt.Errorf("store: write %s in %s: %w", formatFile, dir, err)
	}
	return nil
}

// syncDir makes the names in dir durable, and dir's own in its parent, if that can be
// named.
func syncDir(fsys vfs.FS, dir string) error {
	for _, name := range []string{dir, fsys.PathDir(dir)} {
		d, err := fsys.OpenDir(name)
		if name != dir && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := errors.Join(d.Sync(), d.Close()); err != nil {
			return err
		}
	}
	return nil
}
