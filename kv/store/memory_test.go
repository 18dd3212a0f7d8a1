package store

import (
	"errors"
	"math/rand/v2"
	"testing"
)

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
