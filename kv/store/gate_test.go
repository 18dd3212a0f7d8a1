package store

import (
	"errors"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

func TestNoRoomForTables(t *testing.T) {
	f := &faults{match: file(".sst", errorfs.OpCreate, errorfs.OpFileWrite), err: &pathError{syscall.ENOSPC}}
	s, _ := openFaulty(t, f)
	f.on.Store(true)
	value := make([]byte, 1000)
	last := uint64(10)
	deadline := time.Now().Add(time.Minute)
	for full := false; !full; {
		commit, err := s.Apply(numbered(last+1, value))
		switch {
		case err == nil:
			last++
			if err := commit.Wait(); err != nil {
				t.Fatal(err)
			}
		case errors.Is(err, ErrFull):
			full = f.fired.Load() > 0
		default:
			t.Fatalf("batch %d: %v", last+1, err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("never full, after %d batches and %d faults", last, f.fired.Load())
		}
	}
	if n, err := checkPrefix(s); err != nil || n != last {
		t.Fatalf("%d batches are readable of %d: %v", n, last, err)
	}
	f.on.Store(false)
	for n := last + 1; n < last+200; n++ {
		awaitRoom(t, s, n, value)
	}
	if n, err := checkPrefix(s); err != nil || n != last+199 {
		t.Fatalf("%d batches are readable of %d: %v", n, last+199, err)
	}
}

type pathError struct{ error }

func (e *pathError) Unwrap() error { return e.error }

func TestLittleRoomRefusesValuesFirst(t *testing.T) {
	disk := &smallDisk{FS: vfs.NewMem()}
	disk.free.Store(1 << 30)
	s, err := Open(Options{Dir: "/dir", FS: disk, MinFree: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	value, tombstone, state := &Batch{}, &Batch{}, &Batch{}
	value.Append(1, Record{Seq: 1, Key: []byte("k"), Value: []byte("v")})
	tombstone.Append(1, Record{Seq: 2, Key: []byte("k"), Deleted: true})
	state.SetState(1, []byte("s"))
	levels := []struct {
		free          uint64
		value, others bool
	}{{1 << 20, true, true}, {1<<20 - 1, false, true}, {1 << 18, false, true}, {1<<18 - 1, false, false}, {1 << 30, true, true}}
	for _, level := range levels {
		disk.free.Store(level.free)
		s.writer.Lock()
		s.gate.look()
		s.writer.Unlock()
		for b, want := range map[*Batch]bool{value: level.value, tombstone: level.others, state: level.others} {
			_, err := s.Apply(b)
			if (err == nil) != want || err != nil && (!errors.Is(err, ErrFull) || errors.Is(err, ErrBusy)) {
				t.Errorf("with %d bytes free a batch (bulky: %t): %v", level.free, b.bulky(), err)
			}
		}
	}
}

// smallDisk is a file system that says how much room it has.
type smallDisk struct {
	vfs.FS
	free atomic.Uint64
}

func (d *smallDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: d.free.Load()}, nil
}

func TestReserveFitsTheDisk(t *testing.T) {
	for total, want := range map[uint64]int64{1 << 40: 64 << 20, 64 << 20: 8 << 20} {
		disk := &sizedDisk{FS: vfs.NewMem(), total: total}
		if err := disk.MkdirAll("/a", 0o700); err != nil {
			t.Fatal(err)
		}
		s, err := Open(Options{Dir: "/a/b/c", FS: disk})
		if err != nil {
			t.Fatal(err)
		}
		if s.opts.MinFree != want {
			t.Errorf("of a disk of %d bytes %d are kept free, should be %d", total, s.opts.MinFree, want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(Options{Dir: "/a", FS: vfs.NewMem(), MinFree: -1})
	if err != nil || s.opts.MinFree != 0 {
		t.Fatalf("no reserve: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// sizedDisk is a file system of a size, all of it free. Like statfs it knows no
// directory that is not there.
type sizedDisk struct {
	vfs.FS
	total uint64
}

func (d *sizedDisk) GetDiskUsage(dir string) (vfs.DiskUsage, error) {
	if _, err := d.Stat(dir); err != nil {
		return vfs.DiskUsage{}, err
	}
	return vfs.DiskUsage{AvailBytes: d.total, TotalBytes: d.total}, nil
}
