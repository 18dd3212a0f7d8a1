package store

import (
	"sync/atomic"
	"time"
)

// syncFigures counts the batches of a store, how many of them are durable, and the
// fsyncs of the log that this took.
//
// Two parties know what is durable. An fsync knows which batches were handed over
// before it began; with batches that nobody waits for it is the only one. But a batch
// can be in the log, and synced, before Pebble has put it into its table and it is
// counted as applied. So the one who waited for it says so as well, before its caller
// is told.
type syncFigures struct {
	applied atomic.Int64 // batches handed to Pebble
	durable atomic.Int64 // of them, all that were waited for; at most a few too many
	syncs   atomic.Int64
	nanos   atomic.Int64
}

// synced runs an fsync of the log.
func (f *syncFigures) synced(sync func() error) error {
	applied, start := f.applied.Load(), time.Now()
	err := sync()
	f.nanos.Add(int64(time.Since(start)))
	f.syncs.Add(1)
	if err == nil {
		f.reach(applied)
	}
	return err
}

// reach notes that the first n batches are durable.
func (f *syncFigures) reach(n int64) {
	for {
		now := f.durable.Load()
		if now >= n || f.durable.CompareAndSwap(now, n) {
			return
		}
	}
}
