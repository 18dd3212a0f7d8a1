package store

import (
	"fmt"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// diskFile is a file, or an open directory, on a disk.
type diskFile struct {
	vfs.File
	d     *disk
	name  string
	vital bool
	log   bool // part of the write-ahead log
	ahead int  // bytes that may be written before the room on the disk is looked at
}

// Write appends p.
func (f *diskFile) Write(p []byte) (n int, err error) {
	err = f.d.change("write", f.name, f.vital, func() (err error) {
		if err := f.room(len(p)); err != nil {
			return err
		}
		n, err = f.File.Write(p)
		return err
	})
	if err != nil {
		return n, err
	}
	return len(p), nil
}

// room refuses a table what is kept for the log.
func (f *diskFile) room(n int) error {
	const step = 1 << 20
	if f.vital || !f.d.armed.Load() {
		return nil
	}
	if f.ahead < n {
		if f.d.free() < f.d.reserve+int64(n)+step {
			return fmt.Errorf("store: table %s: %w", f.name, syscall.ENOSPC)
		}
		f.ahead = n + step
	}
	f.ahead -= n
	return nil
}

// WriteAt writes p at off.
func (f *diskFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.d.change("write", f.name, f.vital, func() (err error) {
		n, err = f.File.WriteAt(p, off)
		return err
	})
	if err != nil {
		return n, err
	}
	return len(p), nil
}

// Sync makes data and metadata durable.
func (f *diskFile) Sync() error {
	return f.d.change("sync", f.name, f.vital, func() error { return f.timed(f.File.Sync) })
}

// SyncData makes the data durable.
func (f *diskFile) SyncData() error {
	return f.d.change("sync", f.name, f.vital, func() error { return f.timed(f.File.SyncData) })
}

// SyncTo begins to write back the first length bytes; it may make all durable.
func (f *diskFile) SyncTo(length int64) (full bool, err error) {
	err = f.d.change("sync", f.name, f.vital, func() (err error) {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, err
}

func (f *diskFile) timed(sync func() error) error {
	if !f.log {
		return sync()
	}
	return f.d.log.synced(sync)
}

// Preallocate asks for room ahead of writing; its failure is none of the file's.
func (f *diskFile) Preallocate(offset, length int64) error {
	if f.d.err() != nil {
		return nil
	}
	return f.File.Preallocate(offset, length)
}

// Close closes the file.
func (f *diskFile) Close() error {
	err := f.File.Close()
	if err == nil || !f.d.armed.Load() {
		return err
	}
	return hide(f.vital, f.d.fail("close", f.name, err))
}

// sink stands for a file on a disk that has failed: it takes everything and keeps
// nothing.
type sink struct{ vfs.File }

// Write drops p.
func (sink) Write(p []byte) (int, error) { return len(p), nil }

// WriteAt drops p.
func (sink) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

// Sync does nothing.
func (sink) Sync() error { return nil }

// SyncData does nothing.
func (sink) SyncData() error { return nil }

// SyncTo does nothing.
func (sink) SyncTo(int64) (bool, error) { return false, nil }

// Preallocate does nothing.
func (sink) Preallocate(int64, int64) error { return nil }

// Close does nothing.
func (sink) Close() error { return nil }
