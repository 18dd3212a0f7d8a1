package node

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var testBadge = badge{Cluster: "c", Algorithm: "chord", Bits: 128, Hash: "sha256", Slots: 256}

func testKey(file string) error { return os.WriteFile(file, []byte("key"), 0o600) }

func openTest(t *testing.T, path string) *directory {
	t.Helper()
	d, err := openDirectory(path, testBadge, testKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.close() })
	return d
}

// refused opens path and returns the one-line error.
func refused(t *testing.T, path string, want badge, says ...string) {
	t.Helper()
	d, err := openDirectory(path, want, testKey)
	if err == nil {
		d.close()
		t.Fatalf("%s was taken", path)
	}
	for _, part := range append(says, path) {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
}

func TestADirectoryKeepsItsKeyAndEachStartGrows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	noon := time.Unix(1_000_000, 0)
	for i, want := range []uint32{1_000_000, 1_000_001, 1_000_060, 1_000_061} {
		d := openTest(t, path)
		if d.fresh != (i == 0) {
			t.Errorf("start %d: fresh is %v", i, d.fresh)
		}
		if file, err := d.key(); err != nil || filepath.Dir(file) != path {
			t.Errorf("key file %q, %v", file, err)
		}
		if boot, err := d.nextBoot(noon.Add(time.Duration(i/2) * time.Minute)); boot != want || err != nil {
			t.Errorf("start %d has number %d, want %d; %v", i, boot, want, err)
		}
		d.close()
	}
}

func TestADirectoryKeepsContacts(t *testing.T) {
	d := openTest(t, t.TempDir())
	if _, member, err := d.peers(); member || err != nil {
		t.Errorf("a new directory belongs to a member: %v", err)
	}
	for _, want := range [][][]byte{nil, {{1, 2}, {3}}} {
		if err := d.savePeers(want); err != nil {
			t.Fatal(err)
		}
		if got, member, err := d.peers(); !member || err != nil || !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("contacts %v, member %v, %v; want %v", got, member, err, want)
		}
	}
}

// Whatever a crash leaves of the first start, the next one works and counts from 1.
func TestAFirstStartThatCrashed(t *testing.T) {
	for _, left := range [][]string{{lockFile}, {lockFile, ".key-123"}, {lockFile, keyFile}, {lockFile, keyFile, bootFile, badgeFile + temporary}} {
		path := t.TempDir()
		for _, name := range left {
			if err := os.WriteFile(filepath.Join(path, name), []byte("torn"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		d := openTest(t, path)
		if boot, err := d.nextBoot(time.Unix(7, 0)); boot != 7 || err != nil || !d.fresh {
			t.Errorf("after %q: start %d, %v", left, boot, err)
		}
	}
}

func TestADirectoryServesOneProcess(t *testing.T) {
	path := t.TempDir()
	d := openTest(t, path)
	refused(t, path, testBadge, "in use by another process")
	d.close()
	openTest(t, path)
}

func TestDirectoriesThatAreRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, file, testBadge, "not a directory", "name another")
	refused(t, filepath.Join(file, "below"), testBadge, "not a directory", "name another")

	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "thesis.tex"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, foreign, testBadge, "thesis.tex", "name an empty directory")
	if entries, _ := os.ReadDir(foreign); len(entries) != 1 {
		t.Errorf("a foreign directory was written to: %v", entries)
	}
}

func TestADirectoryOfAnotherClusterIsRefusedWithBothValues(t *testing.T) {
	path := t.TempDir()
	openTest(t, path).close()
	for says, change := range map[string]func(*badge){
		`cluster "c", not "d"`:            func(b *badge) { b.Cluster = "d" },
		`algorithm "chord", not "koorde"`: func(b *badge) { b.Algorithm = "koorde" },
		`bits "128", not "64"`:            func(b *badge) { b.Bits = 64 },
		`hash "sha256", not "trivial"`:    func(b *badge) { b.Hash = "trivial" },
		`slots "256", not "16"`:           func(b *badge) { b.Slots = 16 },
		`id "", not "3"`:                  func(b *badge) { b.ID = "3" },
	} {
		want := testBadge
		change(&want)
		refused(t, path, want, says)
	}
}

func TestADamagedDirectoryIsRefused(t *testing.T) {
	for name, damage := range map[string]func(string) error{
		badgeFile: func(path string) error { return os.WriteFile(path, []byte("{"), 0o600) },
		bootFile:  func(path string) error { return os.WriteFile(path, []byte("many"), 0o600) },
		keyFile:   os.Remove,
		peersFile: func(path string) error { return os.WriteFile(path, []byte("[1"), 0o600) },
	} {
		path := t.TempDir()
		openTest(t, path).close()
		if err := damage(filepath.Join(path, name)); err != nil {
			t.Fatal(err)
		}
		d, err := openDirectory(path, testBadge, testKey)
		if err == nil {
			defer d.close()
			if _, err = d.key(); err == nil {
				_, err = d.nextBoot(time.Now())
			}
			if err == nil {
				_, _, err = d.peers()
			}
		}
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("damaged %s: %v", name, err)
		}
	}
}
