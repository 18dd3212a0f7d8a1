package store

import (
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options configures a store on disk.
type Options struct {
	// Dir is the directory, for this store alone; it is created if missing. Required.
	Dir string
	// FS is the file system. Default: the operating system's.
	FS vfs.FS
	// Cache holds blocks read from disk; all stores of a process should share one.
	// Default: one of 32 MiB of its own.
	Cache *Cache
	// IndexCache is the number of bytes in which the store remembers the versions that
	// the index names for the keys written last. To move the index of any other key
	// takes a read of the tables first, unless all keys of its slot are remembered.
	// Default 8 MiB, enough for about 80,000 short keys; negative: nothing is
	// remembered.
	IndexCache int64
	// MinFree is the number of bytes of the disk kept free: below it batches that
	// store values are refused with ErrFull, below a quarter of it all batches.
	// Default 64 MiB, enough for all tables in memory, but at most an eighth of the
	// disk; negative: none.
	MinFree int64
	// Log gets what Pebble reports. Default: nothing is logged.
	Log *slog.Logger

	memTable uint64 // bytes; smaller in tests, to see tables written
}

const (
	defaultCache      = 32 << 20
	defaultIndexCache = 8 << 20
	defaultMinFree    = 64 << 20
	memTableSize      = 4 << 20
)

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
		if abs, err := filepath.Abs(o.Dir); err == nil && o.Dir != "" {
			o.Dir = abs // locks know a directory by one name
		}
	}
	o.MinFree = max(o.minFree(), 0)
	if o.IndexCache == 0 {
		o.IndexCache = defaultIndexCache
	}
	if o.memTable == 0 {
		o.memTable = memTableSize
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// minFree is MinFree, or its default. The directory need not be there yet.
func (o Options) minFree() int64 {
	if o.MinFree != 0 {
		return o.MinFree
	}
	for dir := o.Dir; ; dir = o.FS.PathDir(dir) {
		usage, err := o.FS.GetDiskUsage(dir)
		if err == nil {
			return int64(min(defaultMinFree, usage.TotalBytes/8))
		}
		if dir == o.FS.PathDir(dir) {
			return defaultMinFree
		}
	}
}

func (o Options) validate() error {
	if o.Dir == "" {
		return fmt.Errorf("store: %w: Dir is empty: the name of a directory is needed", ErrInvalid)
	}
	return nil
}

// Cache holds blocks read from disk, for any number of stores. What a store keeps in
// tables in memory until it is written out (4 MiB each, two or three of them while
// writers are busy) is taken out of it: a cache that is not larger than that holds no
// block at all.
type Cache struct{ c *pebble.Cache }

// NewCache returns a cache of that many bytes. Close it after the last store that
// uses it was opened or later.
func NewCache(bytes int64) *Cache { return &Cache{pebble.NewCache(bytes)} }

// Close lets go of the cache; stores that are open keep it until they are closed.
func (c *Cache) Close() { c.c.Unref() }

// pebble returns Pebble's settings. WALMinSyncInterval stays 0: fsyncs are shared by
// whatever gathers while the one before runs, and waiting longer only costs time.
func (o Options) pebble(d *disk, cache *pebble.Cache, exists bool) *pebble.Options {
	p := &pebble.Options{
		FS:                          d,
		Cache:                       cache,
		FormatMajorVersion:          pebble.FormatValueSeparation,
		ErrorIfNotExists:            exists,
		MemTableSize:                o.memTable,
		MemTableStopWritesThreshold: memTableStop,
		L0StopWritesThreshold:       l0Stop,
		MaxOpenFiles:                256,
		Logger:                      logger{o.Log, d},
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) { o.Log.Warn("background work of the store failed", "err", err) },
			DataCorruption:  func(info pebble.DataCorruptionInfo) { o.Log.Error("store is damaged", "err", info.Details) },
		},
	}
	for i := range p.Levels {
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return p
}

// logger takes what Pebble logs, and keeps its fatal errors from ending the process.
type logger struct {
	log *slog.Logger
	d   *disk
}

// Infof logs at debug level.
func (l logger) Infof(format string, args ...any) {
	l.log.Debug("pebble", "text", fmt.Sprintf(format, args...))
}

// Errorf logs a warning: what matters to the store comes back as an error too.
func (l logger) Errorf(format string, args ...any) {
	l.log.Warn("pebble", "text", fmt.Sprintf(format, args...))
}

// Fatalf freezes the disk.
func (l logger) Fatalf(format string, args ...any) {
	err := l.d.fail("use", "the database", fmt.Errorf(format, args...))
	l.log.Error("store failed", "err", err)
}
