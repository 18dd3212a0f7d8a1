package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
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

// awaitRoom applies a batch as soon as the store takes it.
func awaitRoom(t *testing.T, s Store, n uint64, value []byte) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		commit, err := s.Apply(numbered(n, value))
		if err == nil {
			err = commit.Wait()
		}
		if err == nil {
			return
		}
		if !errors.Is(err, ErrFull) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

type pathError struct{ error }

func (e *pathError) Unwrap() error { return e.error }

// smallDisk is a file system that says how much room it has.
type smallDisk struct {
	vfs.FS
	free atomic.Uint64
}

func (d *smallDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: d.free.Load()}, nil
}

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

func TestCorruptRecordIsNoticed(t *testing.T) {
	s, err := Open(Options{Dir: "/dir", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := s.Apply(numbered(1, []byte("value"))); err != nil {
		t.Fatal(err)
	}
	// A record that strayed from another place, with a checksum that is right there.
	stray := encodeRecord(1, &Record{Seq: 9, Key: []byte("key 1"), Value: []byte("value")})
	if err := s.db.Set(recordKey(1, 1), stray, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	_, err = s.Record(1, 1)
	_, errLookup := s.Lookup(1, []byte("key 1"))
	_, _, errLast := s.Last(1)
	for _, err := range []error{err, errLookup, errLast} {
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "slot 1, record 1") {
			t.Errorf("error is %v", err)
		}
	}
	count := 0
	for _, err := range s.Log(1, 0, 9) {
		if count++; !errors.Is(err, ErrCorrupt) {
			t.Errorf("log: %v", err)
		}
	}
	if count != 1 {
		t.Errorf("the log went on after an error: %d", count)
	}
	if err := s.db.Delete(recordKey(1, 1), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lookup(1, []byte("key 1")); !errors.Is(err, ErrCorrupt) {
		t.Errorf("an index without its record: %v", err)
	}
}

func TestDamagedTableIsNoticed(t *testing.T) {
	mem := vfs.NewCrashableMem()
	opts := Options{Dir: "/dir", FS: mem, memTable: 64 << 10}
	s, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 4000)
	for n := uint64(1); n <= 200; n++ {
		_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(value)
		awaitRoom(t, s, n, value)
	}
	if err := errors.Join(s.db.Flush(), s.Close()); err != nil {
		t.Fatal(err)
	}
	names, err := mem.List("/dir")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".sst") {
			name = mem.PathJoin("/dir", name)
			data := readFile(t, mem, name)
			for i := 100; i < len(data)/2; i += 512 {
				data[i] ^= 0x40
			}
			writeFile(t, mem, name, data)
		}
	}
	if s, err = Open(opts); err != nil {
		if !errors.Is(err, ErrCorrupt) {
			t.Fatalf("open: %v", err)
		}
		return
	}
	defer func() { _ = s.Close() }()
	if _, err := checkPrefix(s); !errors.Is(err, ErrCorrupt) {
		t.Errorf("reading damaged tables: %v", err)
	}
}

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

func TestMemoryCrashKeepsWaitedBatches(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	lengths := map[uint64]bool{}
	for range 200 {
		m := NewMemory(MemoryOptions{Crashable: true})
		var waited, applied uint64
		for range 5 {
			for range rng.IntN(20) {
				applied++
				commit, err := m.Apply(numbered(applied, []byte("v")))
				if err != nil {
					t.Fatal(err)
				}
				if rng.IntN(6) > 0 {
					continue
				}
				if err := commit.Wait(); err != nil {
					t.Fatal(err)
				}
				waited = applied
			}
			lost, err := m.Apply(numbered(applied+1, nil))
			if err != nil {
				t.Fatal(err)
			}
			var keep *rand.Rand
			if rng.IntN(2) == 0 {
				keep = rng
			}
			old := m
			m = m.Crash(keep)
			n, err := checkPrefix(m)
			if err != nil || n < waited || n > applied+1 || keep == nil && n != waited {
				t.Fatalf("%d batches survive, %d were waited for, %d applied: %v", n, waited, applied, err)
			}
			lengths[n-waited] = true
			if err := lost.Wait(); !errors.Is(err, ErrClosed) {
				t.Fatalf("a wait across the crash: %v", err)
			}
			if _, err := old.Meta("n"); !errors.Is(err, ErrClosed) {
				t.Fatalf("reading the store that crashed: %v", err)
			}
			applied, waited = n, n
		}
	}
	if len(lengths) < 10 {
		t.Errorf("only %d lengths of surviving tails", len(lengths))
	}
}

func TestMemoryFaults(t *testing.T) {
	m := NewMemory(MemoryOptions{Crashable: true, Limit: 2000})
	apply := func(n uint64, size int) (Commit, error) { return m.Apply(numbered(n, make([]byte, size))) }
	if _, err := apply(1, 100); err != nil {
		t.Fatal(err)
	}
	if _, err := apply(2, 3000); !errors.Is(err, ErrFull) {
		t.Errorf("over the limit: %v", err)
	}
	m.SetFull(true)
	if _, err := apply(2, 1); !errors.Is(err, ErrFull) {
		t.Errorf("full: %v", err)
	}
	m.SetFull(false)
	commit, err := apply(2, 1)
	if err != nil {
		t.Fatal(err)
	}
	if !m.Damage(1, 2) || m.Damage(1, 3) {
		t.Error("damage hits the wrong record")
	}
	if _, err := m.Record(1, 2); !errors.Is(err, ErrCorrupt) {
		t.Errorf("damaged record: %v", err)
	}
	m.Fail(errDisk)
	if err := commit.Wait(); !errors.Is(err, ErrFailed) || !errors.Is(err, errDisk) {
		t.Errorf("wait on a failed disk: %v", err)
	}
	if _, err := apply(3, 1); !errors.Is(err, ErrFailed) {
		t.Errorf("apply on a failed disk: %v", err)
	}
	if n, err := checkPrefix(m.Crash(nil)); n != 0 || err != nil {
		t.Errorf("%d batches survive a disk that never synced: %v", n, err)
	}
}

func TestMemoryJournalIsBounded(t *testing.T) {
	m := NewMemory(MemoryOptions{Crashable: true})
	for n := uint64(1); n <= 20_000; n++ {
		if _, err := m.Apply(numbered(n, make([]byte, 1000))); err != nil {
			t.Fatal(err)
		}
		if len(m.undo.batches) > 1<<12 || m.undo.bytes > 5<<20 {
			t.Fatalf("after %d batches nobody waited for, the journal holds %d of %d bytes", n, len(m.undo.batches), m.undo.bytes)
		}
	}
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0, 0, 1, 200, 1, 'k'})                                                // a key longer than the record
	f.Add([]byte{0, 0, 0, 0, 0, 1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 'k'})        // than memory
	f.Add([]byte{0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}) // an endless epoch
	f.Add(encodeRecord(1, &Record{Seq: 2, Key: []byte("k"), Value: []byte("v"), Type: "t", Modified: time.Unix(1, 1)}))
	f.Add(encodeRecord(1, &Record{Epoch: 1 << 63, Seq: 2, Key: []byte("k"), Request: []byte("r"), Deleted: true}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := decodeRecord(1, 2, data); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
		if len(data) < recordHead {
			return
		}
		// With its checksum set right the parser itself is reached.
		data = append([]byte{}, data...)
		binary.BigEndian.PutUint32(data, recordSum(1, 2, data[4:]))
		rec, err := decodeRecord(1, 2, data)
		if err != nil {
			return
		}
		again, err := decodeRecord(1, 2, encodeRecord(1, &rec))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(rec) {
			t.Fatalf("%v became %v, %v", rec, again, err)
		}
	})
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
