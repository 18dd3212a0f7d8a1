package store

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// disk stands between Pebble and its files, and turns the failure of a disk into a
// state of the store.
//
// Pebble panics or ends the process when its log (WAL), its MANIFEST or its directory
// cannot be written or synced, because it cannot know what the disk holds then. A
// node must rather say so, and go on reading. So at the first such failure the disk
// freezes: not one byte of the directory changes any more, as if the power had been
// cut there, and Pebble is told that its log and MANIFEST were written. Nobody is
// deceived: every Wait and Apply looks at the disk's state and reports ErrFailed.
// New tables fail with an error, which Pebble takes calmly, so that what was readable
// stays readable.
//
// A table that finds no room is no failure: Pebble keeps the log and tries again. To
// leave room for the log, tables find none some way before the disk is full.
type disk struct {
	vfs.FS
	dir     string
	reserve int64       // bytes of free room that tables must leave
	armed   atomic.Bool // false until the store is open: until then errors go to Pebble's Open
	failure atomic.Pointer[error]
	noRoom  atomic.Bool   // a table found no room
	closing chan struct{} // closed when the store closes
	log     syncFigures

	mu    sync.Mutex
	retry time.Time // not before then is another table begun
}

// tableRetry is how long Pebble is kept from trying a table again after one found
// no room; by itself it would try at once, for ever.
const tableRetry = 250 * time.Millisecond

func newDisk(opts Options) *disk {
	return &disk{FS: opts.FS, dir: opts.Dir, reserve: opts.MinFree / 8, closing: make(chan struct{})}
}

// free is how many bytes this process may still write; a disk that cannot tell has
// room.
func (d *disk) free() int64 {
	usage, err := d.GetDiskUsage(d.dir)
	if err != nil {
		return 1<<63 - 1
	}
	return int64(min(usage.AvailBytes, 1<<62))
}

// err returns the failure, nil if there was none.
func (d *disk) err() error {
	if p := d.failure.Load(); p != nil {
		return *p
	}
	return nil
}

func (d *disk) fail(op, name string, cause error) error {
	err := fmt.Errorf("store: %w: %s %s: %w", ErrFailed, op, name, cause)
	d.failure.CompareAndSwap(nil, &err)
	return d.err()
}

// vital says whether Pebble would not survive an error on the file.
func (d *disk) vital(name string) bool {
	base := d.PathBase(name)
	return strings.HasSuffix(base, ".log") || strings.HasPrefix(base, "MANIFEST-") ||
		strings.HasPrefix(base, "marker.") || strings.HasPrefix(base, "OPTIONS-")
}

// change runs a change of a file. It returns what Pebble shall see.
func (d *disk) change(op, name string, vital bool, f func() error) error {
	if !d.armed.Load() {
		return f()
	}
	if err := d.err(); err != nil {
		return hide(vital, err)
	}
	err := f()
	switch {
	case err == nil:
		return nil
	case isNoRoom(err) && !vital:
		d.delayTables()
		return err
	}
	return hide(vital, d.fail(op, name, err))
}

func hide(vital bool, err error) error {
	if vital {
		return nil
	}
	return err
}

func isNoRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

func (d *disk) delayTables() {
	d.noRoom.Store(true)
	d.mu.Lock()
	d.retry = time.Now().Add(tableRetry)
	d.mu.Unlock()
}

// awaitRetry waits until tables may be begun again, or the store closes.
func (d *disk) awaitRetry() {
	d.mu.Lock()
	wait := time.Until(d.retry)
	if d.err() != nil {
		wait = tableRetry
	}
	d.mu.Unlock()
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-d.closing:
	}
}

// Create makes a file, or what looks like one when the disk has failed.
func (d *disk) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return d.create(name, func() (vfs.File, error) { return d.FS.Create(name, category) })
}

// ReuseForWrite makes a file of an old one.
func (d *disk) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return d.create(name, func() (vfs.File, error) { return d.FS.ReuseForWrite(old, name, category) })
}

// OpenReadWrite opens a file for changes.
func (d *disk) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return d.create(name, func() (vfs.File, error) { return d.FS.OpenReadWrite(name, category, opts...) })
}

func (d *disk) create(name string, open func() (vfs.File, error)) (vfs.File, error) {
	vital := d.vital(name)
	if !vital && d.armed.Load() {
		d.awaitRetry()
	}
	var file vfs.File
	err := d.change("create", name, vital, func() (err error) {
		file, err = open()
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case file == nil:
		return sink{vfs.NewMemFile(nil)}, nil
	}
	return &diskFile{File: file, d: d, name: name, vital: vital, log: strings.HasSuffix(name, ".log")}, nil
}

// OpenDir opens a directory, to sync it.
func (d *disk) OpenDir(name string) (vfs.File, error) {
	file, err := d.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &diskFile{File: file, d: d, name: name, vital: true}, nil
}

// Remove removes a file. A frozen disk keeps it.
func (d *disk) Remove(name string) error { return d.keep(func() error { return d.FS.Remove(name) }) }

// RemoveAll removes a folder. A frozen disk keeps it.
func (d *disk) RemoveAll(name string) error {
	return d.keep(func() error { return d.FS.RemoveAll(name) })
}

// Rename renames a file. A frozen disk does not.
func (d *disk) Rename(from, to string) error {
	return d.keep(func() error { return d.FS.Rename(from, to) })
}

// Link links a file. A frozen disk does not.
func (d *disk) Link(from, to string) error {
	return d.keep(func() error { return d.FS.Link(from, to) })
}

func (d *disk) keep(f func() error) error {
	if d.err() != nil {
		return nil
	}
	return f()
}

// Unwrap returns the file system below.
func (d *disk) Unwrap() vfs.FS { return d.FS }
