package store

import (
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// gate refuses batches before they are applied when Pebble would otherwise stall the
// writer, or the disk would fill up. It has two levels: values are refused first, so
// that deletes and protocol state still find room.
type gate struct {
	dir     string
	minFree int64
	d       *disk
	db      *pebble.DB

	since   int64 // bytes applied since the last look
	looked  time.Time
	tables  int // memtables waiting to be written
	overlap int // sublevels of L0
	free    int64
	noRoom  time.Time // until then the disk counts as full
}

// Stop levels given to Pebble, and where the gate refuses batches before them:
// values, and everything.
const (
	memTableStop, memTableBulky, memTableAll = 16, 12, 14
	l0Stop, l0Bulky, l0All                   = 60, 30, 45
	// Pebble blocks at 4,095 batches that wait for an fsync.
	pendingBulky, pendingAll = 2048, 3072
)

// admit says whether b may be applied. The caller holds the writer's lock.
func (g *gate) admit(b *Batch) error {
	size, bulky := b.size(), b.bulky()
	if g.due(size) {
		g.look()
	}
	pending := g.d.log.applied.Load() - g.d.log.durable.Load()
	switch {
	case pending >= pick(bulky, pendingBulky, pendingAll):
		return fmt.Errorf("store: %s: %w: %d batches wait for an fsync", g.dir, ErrBusy, pending)
	case int64(g.tables) >= pick(bulky, memTableBulky, memTableAll):
		return fmt.Errorf("store: %s: %w: %d tables wait to be written", g.dir, ErrBusy, g.tables)
	case int64(g.overlap) >= pick(bulky, l0Bulky, l0All):
		return fmt.Errorf("store: %s: %w: %d levels wait to be merged", g.dir, ErrBusy, g.overlap)
	case g.free < pick(bulky, g.minFree, g.minFree/4):
		return fmt.Errorf("store: %s: %w: %d bytes are free, %d are kept in reserve", g.dir, ErrFull, g.free, g.minFree)
	}
	g.since += size
	return nil
}

func pick(bulky bool, values, all int64) int64 {
	if bulky {
		return values
	}
	return all
}

// due says whether the figures are too old: after so many bytes or so much time, and
// sooner while batches are refused.
func (g *gate) due(size int64) bool {
	const bytes = 256 << 10
	age := time.Since(g.looked)
	refusing := g.tables >= memTableBulky || g.overlap >= l0Bulky || g.free < g.minFree
	return g.since+size > bytes || age > time.Second || refusing && age > 20*time.Millisecond
}

func (g *gate) look() {
	m := g.db.Metrics()
	g.since, g.looked = 0, time.Now()
	g.tables, g.overlap = int(m.MemTable.Count), int(m.Levels[0].Sublevels)
	g.free = g.room()
}

// room is how many bytes the disk has left for this process. A disk that cannot tell
// has room until a table finds none; then it is left alone for a while.
func (g *gate) room() int64 {
	const pause = time.Second
	if g.d.noRoom.Swap(false) {
		g.noRoom = g.looked.Add(pause)
	}
	if g.looked.Before(g.noRoom) {
		return g.minFree - 1
	}
	return g.d.free()
}
