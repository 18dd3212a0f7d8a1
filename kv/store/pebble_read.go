package store

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// users counts who is inside a store, so that Close can wait for them. Pebble panics
// when it is used after its end.
type users struct {
	mu        sync.Mutex
	idle      sync.Cond
	inside    int
	closed    bool
	snapshots map[*pebbleSnapshot]struct{}
}

// enter begins a use. It may be nested.
func (u *users) enter() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return ErrClosed
	}
	u.inside++
	return nil
}

func (u *users) leave() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.inside--; u.inside == 0 && u.closed {
		u.idle.Broadcast()
	}
}

// shut refuses new uses, waits for the running ones and returns the snapshots that
// are open. first is false when the store was closed already.
func (u *users) shut() (open []*pebbleSnapshot, first bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	first = !u.closed
	u.closed = true
	u.idle.L = &u.mu
	for u.inside > 0 {
		u.idle.Wait()
	}
	for s := range u.snapshots {
		open = append(open, s)
	}
	u.snapshots = nil
	return open, first
}

// pebbleReader reads a database or a snapshot of it.
type pebbleReader struct {
	r     pebble.Reader
	users *users
}

func (r pebbleReader) get(key []byte) ([]byte, error) {
	if err := r.users.enter(); err != nil {
		return nil, err
	}
	defer r.users.leave()
	value, done, err := r.r.Get(key)
	if err != nil {
		return nil, readError(err)
	}
	return append([]byte{}, value...), done.Close()
}

func (r pebbleReader) last(s span) (p pair, err error) {
	if err := r.users.enter(); err != nil {
		return pair{}, err
	}
	defer r.users.leave()
	it, err := r.r.NewIter(&pebble.IterOptions{LowerBound: s.lo, UpperBound: s.hi})
	if err != nil {
		return pair{}, readError(err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if it.Last() {
		return present(it)
	}
	if err := it.Error(); err != nil {
		return pair{}, readError(err)
	}
	return pair{}, ErrNotFound
}

// scan visits the state at its beginning, whatever is applied meanwhile.
func (r pebbleReader) scan(s span) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		if err := r.walk(s, yield); err != nil {
			yield(pair{}, err)
		}
	}
}

// walk yields the pairs of s until yield has enough, and returns what stopped it
// otherwise.
func (r pebbleReader) walk(s span, yield func(pair, error) bool) error {
	if err := r.users.enter(); err != nil {
		return err
	}
	defer r.users.leave()
	it, err := r.r.NewIter(&pebble.IterOptions{LowerBound: s.lo, UpperBound: s.hi})
	if err != nil {
		return readError(err)
	}
	defer func() { _ = it.Close() }() // repeats the error of the iteration
	for it.First(); it.Valid(); it.Next() {
		p, err := present(it)
		if err != nil {
			return err
		}
		if !yield(p, nil) {
			return nil
		}
	}
	return readError(it.Error())
}

// present copies what the iterator stands on.
func present(it *pebble.Iterator) (pair, error) {
	value, err := it.ValueAndErr()
	if err != nil {
		return pair{}, readError(err)
	}
	return pair{bytes.Clone(it.Key()), append([]byte{}, value...)}, nil
}

func readError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pebble.ErrNotFound):
		return ErrNotFound
	case pebble.IsCorruptionError(err):
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return err
}

// pebbleSnapshot is a snapshot that its store can end.
type pebbleSnapshot struct {
	view
	s    *Pebble
	snap *pebble.Snapshot
}

// Snapshot is a Reader of the present state that later batches do not change.
func (s *Pebble) Snapshot() Snapshot {
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	if s.users.closed {
		return &pebbleSnapshot{view: view{closedReader{}}, s: s}
	}
	snap := &pebbleSnapshot{s: s, snap: s.db.NewSnapshot()}
	snap.view = view{pebbleReader{snap.snap, &s.users}}
	if s.users.snapshots == nil {
		s.users.snapshots = make(map[*pebbleSnapshot]struct{})
	}
	s.users.snapshots[snap] = struct{}{}
	return snap
}

// Close releases the snapshot; it may be called again. It must not be used any more.
func (s *pebbleSnapshot) Close() error {
	if !s.s.users.forget(s) {
		return nil
	}
	defer s.s.users.leave()
	s.view = view{closedReader{}}
	return s.snap.Close()
}

// forget takes a snapshot off the list, and enters, if it was there.
func (u *users) forget(s *pebbleSnapshot) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, ok := u.snapshots[s]
	if ok {
		delete(u.snapshots, s)
		u.inside++
	}
	return ok
}
