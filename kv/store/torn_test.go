package store

import (
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestTornLogEndsAtTheLastWholeBatch(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s, err := Open(Options{Dir: "/dir", FS: mem})
	if err != nil {
		t.Fatal(err)
	}
	for n := uint64(1); n <= 20; n++ {
		commit, err := s.Apply(numbered(n, make([]byte, 100)))
		if err == nil {
			err = commit.Wait()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	left := mem.CrashClone(vfs.CrashCloneCfg{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	name, data := logFile(t, left)
	last := uint64(20)
	for size := len(data); size > 0; size -= 97 {
		torn := left.CrashClone(vfs.CrashCloneCfg{})
		writeFile(t, torn, name, data[:size])
		s, err := Open(Options{Dir: "/dir", FS: torn})
		if err != nil {
			t.Fatalf("log of %d bytes: %v", size, err)
		}
		n, err := checkPrefix(s)
		if err != nil || n > last {
			t.Fatalf("log of %d bytes: %d batches after %d: %v", size, n, last, err)
		}
		last = n
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if last > 1 {
		t.Errorf("a log of a few bytes still gave %d batches", last)
	}
}

func logFile(t *testing.T, fs vfs.FS) (string, []byte) {
	t.Helper()
	names, err := fs.List("/dir")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".log") {
			name = fs.PathJoin("/dir", name)
			return name, readFile(t, fs, name)
		}
	}
	t.Fatal("there is no log")
	return "", nil
}

func readFile(t *testing.T, fs vfs.FS, name string) []byte {
	t.Helper()
	info, err := fs.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	file, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, info.Size())
	_, err = file.ReadAt(data, 0)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	return data
}

func writeFile(t *testing.T, fs vfs.FS, name string, data []byte) {
	t.Helper()
	file, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.Write(append([]byte{}, data...))
	if err := errors.Join(err, file.Sync(), file.Close(), syncDir(fs, "/dir")); err != nil {
		t.Fatal(err)
	}
}
