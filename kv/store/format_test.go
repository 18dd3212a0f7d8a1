package store

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestForeignDirectories(t *testing.T) {
	write := func(name, text string) func(*testing.T, vfs.FS) {
		return func(t *testing.T, fs vfs.FS) { writeFile(t, fs, "/dir/"+name, []byte(text)) }
	}
	tests := map[string]struct {
		prepare func(*testing.T, vfs.FS)
		says    string
	}{
		"other files":      {write("letter.txt", "Dear"), "letter.txt"},
		"other version":    {write(formatFile, formatPrefix+"2\n"), "format 2"},
		"damaged format":   {write(formatFile, ""), `says ""`},
		"database is gone": {write(formatFile, formatText), "database is missing"},
		"somebody's pebble": {func(t *testing.T, fs vfs.FS) {
			db, err := pebble.Open("/dir", &pebble.Options{FS: fs})
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
		}, formatFile},
		"in use": {func(t *testing.T, fs vfs.FS) {
			s, err := Open(Options{Dir: "/dir", FS: fs})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
		}, "another process"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			if err := fs.MkdirAll("/dir", 0o700); err != nil {
				t.Fatal(err)
			}
			test.prepare(t, fs)
			before := list(t, fs)
			s, err := Open(Options{Dir: "/dir", FS: fs})
			if err == nil {
				_ = s.Close()
				t.Fatal("it was opened")
			}
			if !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "/dir") {
				t.Errorf("error is %q, should name %q", err, test.says)
			}
			if after := list(t, fs); name != "database is gone" && !slices.Equal(after, before) {
				t.Errorf("the directory had %v, now %v", before, after)
			}
		})
	}
	if _, err := Open(Options{}); !errors.Is(err, ErrInvalid) {
		t.Errorf("no directory: %v", err)
	}
}

func list(t *testing.T, fs vfs.FS) []string {
	t.Helper()
	names, err := fs.List("/dir")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}
