package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// cut is what a power cut at one moment leaves, and what must be in it.
type cut struct {
	fs              *vfs.MemFS
	at              string
	waited, applied uint64
}

// cutter takes cuts before operations on a crashable file system.
type cutter struct {
	mem    *vfs.MemFS
	rng    *rand.Rand
	lost   int // percent of unsynced blocks that survive
	every  int
	filter func(errorfs.Op) bool

	mu              sync.Mutex
	seen            int
	cuts            []cut
	waited, applied uint64
}

func (c *cutter) MaybeError(op errorfs.Op) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.filter(op) {
		return nil
	}
	if c.seen++; c.seen%c.every == 0 {
		fs := c.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: c.lost, RNG: c.rng})
		c.cuts = append(c.cuts, cut{fs, fmt.Sprintf("op %d %v %s", op.Kind, op.Path, ""), c.waited, c.applied})
	}
	return nil
}

func (c *cutter) String() string { return "power cuts" }

func isSync(op errorfs.Op) bool {
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		return true
	}
	return false
}

func isChange(op errorfs.Op) bool { return op.Kind.ReadOrWrite() == errorfs.OpIsWrite }

// splitReuse reuses a file in two steps. MemFS takes its clone lock twice there, and
// so never comes to an end when a clone is asked for in between.
type splitReuse struct{ *vfs.MemFS }

func (fs splitReuse) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := fs.Rename(old, name); err != nil {
		return nil, err
	}
	return fs.OpenReadWrite(name, category)
}

// run writes batches, waiting for some, with cuts taken all along.
func (c *cutter) run(t *testing.T, batches uint64, valueSize int) {
	s, err := Open(Options{Dir: "/dir", FS: errorfs.Wrap(splitReuse{c.mem}, c), memTable: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	value := make([]byte, valueSize)
	for n := uint64(1); n <= batches; n++ {
		for i := range value {
			value[i] = byte(rng.Uint32())
		}
		c.mu.Lock()
		c.applied = n
		c.mu.Unlock()
		commit := applyWhenReady(t, s, n, value)
		if rng.IntN(3) > 0 {
			continue
		}
		if err := commit.Wait(); err != nil {
			t.Fatal(err)
		}
		c.mu.Lock()
		c.waited = n
		c.mu.Unlock()
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func (c *cutter) verify(t *testing.T) {
	t.Helper()
	cache := NewCache(1 << 20)
	defer cache.Close()
	prefixes := map[uint64]bool{}
	for i, k := range c.cuts {
		opts := Options{Dir: "/dir", FS: k.fs, Cache: cache, memTable: 64 << 10}
		s, err := Open(opts)
		if err != nil {
			t.Fatalf("cut %d before %s: %v", i, k.at, err)
		}
		n, err := checkPrefix(s)
		if err != nil || n < k.waited || n > k.applied {
			t.Fatalf("cut %d before %s: %d batches survive, %d were waited for, %d applied: %v", i, k.at, n, k.waited, k.applied, err)
		}
		prefixes[n] = true
		if i%5 > 0 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		// The survivor goes on, and restarts with what it wrote.
		commit, err := s.Apply(numbered(n+1, nil))
		if err == nil {
			err = commit.Wait()
		}
		if err := errors.Join(err, s.Close()); err != nil {
			t.Fatalf("cut %d before %s: writing on: %v", i, k.at, err)
		}
		if s, err = Open(opts); err != nil {
			t.Fatalf("cut %d before %s: second opening: %v", i, k.at, err)
		}
		if got, err := checkPrefix(s); err != nil || got != n+1 {
			t.Fatalf("cut %d before %s: batch %d went, %d is the last: %v", i, k.at, n+1, got, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.cuts) < 50 || len(prefixes) < 10 {
		t.Fatalf("only %d cuts with %d prefixes were tried", len(c.cuts), len(prefixes))
	}
}

func TestPowerCutKeepsWaitedBatches(t *testing.T) {
	tests := []struct {
		name    string
		lost    int
		filter  func(errorfs.Op) bool
		every   int
		batches uint64
		size    int
	}{
		{"at every sync, unsynced lost", 0, isSync, 1, 250, 100},
		{"at every sync, half of the unsynced torn", 50, isSync, 1, 250, 100},
		{"at every third change, tenth of the unsynced kept", 10, isChange, 5, 300, 100},
		{"while tables are written", 50, isChange, 7, 500, 2000},
		{"batches larger than a table in memory", 30, isChange, 5, 60, 50_000},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &cutter{
				mem: vfs.NewCrashableMem(), rng: rand.New(rand.NewPCG(7, 7)),
				lost: test.lost, every: test.every, filter: test.filter,
			}
			c.run(t, test.batches, test.size)
			c.verify(t)
		})
	}
}

func TestPowerCutWhileTheStoreIsCreated(t *testing.T) {
	for seed := range uint64(24) {
		lost := []int{0, 50, 100, 70}[seed%4]
		c := &cutter{
			mem: vfs.NewCrashableMem(), rng: rand.New(rand.NewPCG(seed, 3)),
			lost: lost, every: 1, filter: isChange,
		}
		c.run(t, 1, 10)
		for i, k := range c.cuts {
			for range 2 {
				s, err := Open(Options{Dir: "/dir", FS: k.fs})
				if err != nil {
					t.Fatalf("cut %d before %s: %v", i, k.at, err)
				}
				if n, err := checkPrefix(s); err != nil || n < k.waited {
					t.Fatalf("cut %d before %s: %d batches: %v", i, k.at, n, err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if len(c.cuts) < 15 {
			t.Fatalf("only %d cuts", len(c.cuts))
		}
	}
}
