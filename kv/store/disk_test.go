package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// faults fails operations that match, while it is on.
type faults struct {
	match func(errorfs.Op) bool
	err   error
	on    atomic.Bool
	after atomic.Int64 // matches to let through first
	fired atomic.Int64
}

func (f *faults) String() string { return "faults" }

func (f *faults) MaybeError(op errorfs.Op) error {
	if !f.on.Load() || !f.match(op) || f.after.Add(-1) >= 0 {
		return nil
	}
	f.fired.Add(1)
	return f.err
}

func file(suffix string, kinds ...errorfs.OpKind) func(errorfs.Op) bool {
	return func(op errorfs.Op) bool {
		for _, kind := range kinds {
			if op.Kind == kind && strings.Contains(op.Path, suffix) {
				return true
			}
		}
		return false
	}
}

var errDisk = errors.New("input/output error")

// openFaulty opens a store on a crashable disk with faults, small tables and a few
// batches that are durable.
func openFaulty(t *testing.T, f *faults) (*Pebble, *vfs.MemFS) {
	t.Helper()
	mem := vfs.NewCrashableMem()
	s, err := Open(Options{Dir: "/dir", FS: errorfs.Wrap(mem, f), memTable: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for n := uint64(1); n <= 10; n++ {
		if err := applyWhenReady(t, s, n, make([]byte, 100)).Wait(); err != nil {
			t.Fatal(err)
		}
	}
	return s, mem
}

// Every write that Pebble would not survive, failing for good from some moment on:
// the process goes on, the failure is reported, what was read is still readable, and
// what was acknowledged is on the disk.
func TestFailedDiskStopsTheStoreAndNothingElse(t *testing.T) {
	tests := map[string]func(errorfs.Op) bool{
		"log sync":         file(".log", errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo),
		"log write":        file(".log", errorfs.OpFileWrite),
		"new log":          file(".log", errorfs.OpCreate, errorfs.OpReuseForWrite),
		"manifest write":   file("MANIFEST", errorfs.OpFileWrite),
		"manifest sync":    file("MANIFEST", errorfs.OpFileSync, errorfs.OpFileSyncData),
		"table sync":       file(".sst", errorfs.OpFileSync, errorfs.OpFileSyncData),
		"table write":      file(".sst", errorfs.OpFileWrite),
		"new table":        file(".sst", errorfs.OpCreate),
		"directory sync":   file("/dir", errorfs.OpFileSync),
		"every change":     isChange,
		"every log change": file(".log", errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpCreate, errorfs.OpReuseForWrite, errorfs.OpRemove),
	}
	for name, match := range tests {
		for _, cause := range []error{errDisk, syscall.ENOSPC} {
			if !errors.Is(cause, errDisk) && strings.Contains(name, "table") {
				continue // no failure: see TestNoRoomForTables
			}
			for after := range int64(4) {
				t.Run(fmt.Sprintf("%s, %v, after %d", name, cause, after), func(t *testing.T) {
					f := &faults{match: match, err: cause}
					f.after.Store(after)
					failingDisk(t, f)
				})
			}
		}
	}
}

func failingDisk(t *testing.T, f *faults) {
	s, mem := openFaulty(t, f)
	f.on.Store(true)
	rng := rand.New(rand.NewPCG(5, 5))
	waited, applied := uint64(10), uint64(10)
	var failure error
	for n := uint64(11); failure == nil; n++ {
		if n > 100_000 {
			t.Fatalf("no failure after %d batches; %d faults fired", n, f.fired.Load())
		}
		value := make([]byte, 1000)
		_, _ = rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(value)
		commit, err := s.Apply(numbered(n, value))
		if errors.Is(err, ErrBusy) {
			n--
			continue
		}
		if err != nil {
			failure = err
			break
		}
		applied = n
		if rng.IntN(4) == 0 {
			if failure = commit.Wait(); failure == nil {
				waited = n
			}
		}
	}
	if !errors.Is(failure, ErrFailed) || !errors.Is(failure, f.err) {
		t.Fatalf("failure is %v", failure)
	}
	if _, err := s.Apply(numbered(applied+1, nil)); !errors.Is(err, ErrFailed) {
		t.Errorf("a batch after the failure: %v", err)
	}
	if n, err := checkPrefix(s); err != nil || n != applied {
		t.Errorf("after the failure %d batches are readable of %d: %v", n, applied, err)
	}
	f.on.Store(false) // the disk recovers, but must not be believed any more
	if _, err := s.Apply(numbered(applied+1, nil)); !errors.Is(err, ErrFailed) {
		t.Errorf("a batch after the disk recovered: %v", err)
	}
	if err := s.Close(); !errors.Is(err, ErrFailed) {
		t.Errorf("close says %v", err)
	}
	for _, unsynced := range []int{0, 100} {
		left := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rng})
		reopened, err := Open(Options{Dir: "/dir", FS: left, memTable: 64 << 10})
		if err != nil {
			t.Fatalf("reopen: %v", err)
		}
		if n, err := checkPrefix(reopened); err != nil || n < waited || n > applied {
			t.Errorf("the disk has %d batches, %d were acknowledged of %d applied: %v", n, waited, applied, err)
		}
		if err := reopened.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestFrozenDiskKeepsEveryFile(t *testing.T) {
	mem := vfs.NewMem()
	d := newDisk(Options{FS: mem, Dir: "/dir"})
	if err := mem.MkdirAll("/dir", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"1.log", "2.sst", "MANIFEST-1"} {
		writeFile(t, mem, "/dir/"+name, []byte(name))
	}
	d.armed.Store(true)
	before := mem.String()
	_ = d.fail("sync", "1.log", errDisk)
	reused, errReuse := d.ReuseForWrite("/dir/1.log", "/dir/3.log", vfs.WriteCategoryUnspecified)
	created, errCreate := d.Create("/dir/MANIFEST-1", vfs.WriteCategoryUnspecified)
	err := errors.Join(errReuse, errCreate, d.Remove("/dir/1.log"), d.Rename("/dir/2.sst", "/dir/4.sst"),
		d.Link("/dir/2.sst", "/dir/5.sst"), d.RemoveAll("/dir"))
	if err != nil {
		t.Fatalf("Pebble would end the process: %v", err)
	}
	for _, file := range []vfs.File{reused, created} {
		_, err := file.Write([]byte("lost"))
		if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
			t.Fatalf("Pebble would end the process: %v", err)
		}
	}
	close(d.closing)
	if _, err := d.Create("/dir/6.sst", vfs.WriteCategoryUnspecified); !errors.Is(err, ErrFailed) {
		t.Errorf("a new table: %v", err)
	}
	if after := mem.String(); after != before {
		t.Errorf("the directory was\n%s\nand is\n%s", before, after)
	}
}
