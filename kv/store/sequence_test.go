package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"
)

// numbered is batch n of a sequence in which each can be told from the others and
// half a batch from a whole one.
func numbered(n uint64, value []byte) *Batch {
	var b Batch
	b.SetMeta("n", binary.BigEndian.AppendUint64(nil, n))
	b.Append(1, Record{Epoch: 1, Seq: n, Key: fmt.Appendf(nil, "key %d", n%50), Value: value})
	b.Index(1, fmt.Appendf(nil, "key %d", n%50), n)
	b.SetState(2, binary.BigEndian.AppendUint64(nil, n))
	return &b
}

// checkPrefix says which batches of the sequence r holds, and what is wrong if they
// are not a prefix of it.
func checkPrefix(r Reader) (uint64, error) {
	meta, err := r.Meta("n")
	if errors.Is(err, ErrNotFound) {
		_, last, err := r.Last(1)
		if last != 0 || err != nil {
			return 0, fmt.Errorf("half a batch: record %d without meta: %w", last, errors.Join(ErrCorrupt, err))
		}
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n := binary.BigEndian.Uint64(meta)
	state, err := r.State(2)
	_, last, errLast := r.Last(1)
	if err := errors.Join(err, errLast); err != nil || binary.BigEndian.Uint64(state) != n || last != n {
		return n, fmt.Errorf("meta says %d, state %x, log %d, %w", n, state, last, err)
	}
	for seq := max(n, 50) - 49; seq <= n; seq++ {
		if _, err := r.Lookup(1, fmt.Appendf(nil, "key %d", seq%50)); err != nil {
			return n, fmt.Errorf("of %d batches: %w", n, err)
		}
	}
	for rec, err := range r.Log(1, 0, n) {
		if err != nil || rec.Seq+50 <= n {
			return n, fmt.Errorf("of %d batches, record %d: %w", n, rec.Seq, err)
		}
	}
	return n, nil
}

// applyWhenReady applies a batch as soon as the store is not behind.
func applyWhenReady(t *testing.T, s *Pebble, n uint64, value []byte) Commit {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; runtime.Gosched() {
		commit, err := s.Apply(numbered(n, value))
		if err == nil {
			return commit
		}
		if !errors.Is(err, ErrBusy) || time.Now().After(deadline) {
			t.Fatal(err)
		}
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
