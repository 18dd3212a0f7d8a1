package store

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Pebble is a store on disk.
type Pebble struct {
	view
	opts  Options
	db    *pebble.DB
	d     *disk
	lock  *pebble.Lock
	users users

	writer sync.Mutex // one batch at a time is planned and handed to Pebble
	gate   gate
	index  *indexCache
}

// Open opens the store in a directory, or makes one in a new or empty directory.
// It fails with ErrForeign if there is something else, or another process has it.
func Open(opts Options) (*Pebble, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, err
	}
	exists, _, err := inspect(opts.FS, opts.Dir)
	if err != nil {
		return nil, err
	}
	if !exists {
		if err := beginFormat(opts.FS, opts.Dir); err != nil {
			return nil, err
		}
	}
	lock, err := pebble.LockDirectory(opts.Dir, opts.FS)
	if err != nil {
		return nil, fmt.Errorf("store: open %s: %w: locked, is another process using it? %w", opts.Dir, ErrForeign, err)
	}
	s, err := openLocked(opts, lock)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s.d.armed.Store(true)
	return s, nil
}

// openLocked opens the store in a directory that no other process changes any more.
func openLocked(opts Options, lock *pebble.Lock) (*Pebble, error) {
	exists, left, err := inspect(opts.FS, opts.Dir)
	if err == nil {
		err = clearUnfinished(opts.FS, opts.Dir, left)
	}
	if err != nil {
		return nil, err
	}
	cache := opts.Cache
	if cache == nil {
		cache = NewCache(defaultCache)
		defer cache.Close()
	}
	d := newDisk(opts)
	settings := opts.pebble(d, cache.c, exists)
	settings.Lock = lock
	db, err := pebble.Open(opts.Dir, settings)
	if err != nil {
		return nil, openError(opts.Dir, err)
	}
	if !exists {
		if err := endFormat(opts.FS, opts.Dir); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	s := &Pebble{opts: opts, db: db, d: d, lock: lock}
	s.view = view{pebbleReader{db, &s.users}}
	s.index = newIndexCache(s.view.r, opts.IndexCache)
	s.gate = gate{dir: opts.Dir, minFree: opts.MinFree, d: d, db: db}
	return s, nil
}

func openError(dir string, err error) error {
	switch {
	case errors.Is(err, pebble.ErrDBDoesNotExist):
		return fmt.Errorf("store: open %s: %w: %s is there, but the database is missing", dir, ErrForeign, formatFile)
	case pebble.IsCorruptionError(err):
		return fmt.Errorf("store: open %s: %w: %w", dir, ErrCorrupt, err)
	}
	return fmt.Errorf("store: open %s: %w", dir, err)
}

// Apply makes b visible before it returns.
func (s *Pebble) Apply(b *Batch) (Commit, error) {
	if err := s.users.enter(); err != nil {
		return nil, err
	}
	defer s.users.leave()
	s.writer.Lock()
	defer s.writer.Unlock()
	if err := s.d.err(); err != nil {
		return nil, err
	}
	if err := s.gate.admit(b); err != nil {
		return nil, err
	}
	p, err := newPlan(s.index.find, b)
	if err != nil {
		return nil, err
	}
	return s.apply(p)
}

func (s *Pebble) apply(p *plan) (Commit, error) {
	batch := s.db.NewBatch()
	if err := fill(batch, p.changes); err != nil {
		return nil, errors.Join(fmt.Errorf("store: fill a batch: %w", err), batch.Close())
	}
	if err := s.db.ApplyNoSyncWait(batch, pebble.Sync); err != nil {
		return nil, s.d.fail("apply to", s.opts.Dir, err)
	}
	s.index.applied(p)
	return &pebbleCommit{s: s, batch: batch, number: s.d.log.applied.Add(1)}, nil
}

// fill turns changes into Pebble's. A batch that changes nothing still gets a place
// in the log, so that to wait for it is to wait for all before it.
func fill(batch *pebble.Batch, changes []change) error {
	if len(changes) == 0 {
		return batch.LogData(nil, nil)
	}
	for i := range changes {
		if err := add(batch, &changes[i]); err != nil {
			return err
		}
	}
	return nil
}

func add(batch *pebble.Batch, c *change) error {
	switch c.kind {
	case setKey:
		return batch.Set(c.key, c.value, nil)
	case deleteKey:
		return batch.Delete(c.key, nil)
	default:
		return batch.DeleteRange(c.key, c.value, nil)
	}
}

// pebbleCommit is a batch on its way to the log.
type pebbleCommit struct {
	s      *Pebble
	number int64 // of the batch, in the order of the log
	once   sync.Once
	batch  *pebble.Batch
	err    error
}

// Wait blocks until the log is synced up to this batch.
func (c *pebbleCommit) Wait() error {
	c.once.Do(func() {
		if err := c.batch.SyncWait(); err != nil {
			_ = c.s.d.fail("sync", c.s.opts.Dir, err) // read back below
		}
		// Looked at after the wait: a disk that froze reports success to Pebble.
		if c.err = c.s.d.err(); c.err == nil {
			c.s.d.log.reach(c.number)
			c.err = c.batch.Close()
		}
		c.batch = nil
	})
	return c.err
}

// Stats describes the store. Commits counts every batch that was waited for; it may
// be a few batches ahead of the fsyncs.
func (s *Pebble) Stats() Stats {
	if s.users.enter() != nil {
		return Stats{}
	}
	defer s.users.leave()
	return Stats{
		Bytes:    int64(s.db.Metrics().DiskSpaceUsage()),
		Commits:  s.d.log.durable.Load(),
		Syncs:    s.d.log.syncs.Load(),
		SyncTime: time.Duration(s.d.log.nanos.Load()),
	}
}

// Close waits for reads and commits that are running, ends open snapshots and
// releases the directory. It returns ErrFailed if the last batches may be lost. It
// may be called again, and must not be called from within an iteration.
func (s *Pebble) Close() error {
	snapshots, first := s.users.shut()
	if !first {
		return nil
	}
	var errs []error
	for _, snap := range snapshots {
		errs = append(errs, snap.snap.Close())
	}
	close(s.d.closing)
	errs = append(errs, s.db.Close(), s.lock.Close(), s.d.err())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("store: close %s: %w", s.opts.Dir, err)
	}
	return nil
}
