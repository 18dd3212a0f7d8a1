package store

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Short keys and long ones, one longer than the whole cache, in more slots than it has
// room for: it keeps to its limit, looks at the index of a slot as a whole but once,
// and takes nothing for new that it only forgot.
func TestIndexCacheOfAFewKeys(t *testing.T) {
	const limit, slots, keys = 4000, 10, 20
	s, err := Open(Options{Dir: "/dir", FS: vfs.NewMem(), IndexCache: limit})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	reads := &counting{reader: s.view.r}
	s.index.r = reads
	rng := rand.New(rand.NewPCG(1, 1))
	most := 0
	for n := uint64(1); n <= 2000; n++ {
		slot, k := uint32(rng.IntN(slots)), rng.IntN(keys)
		if n <= 2*slots { // the longest key twice in each slot, before others make it forget
			slot, k = uint32(n%slots), keys-1
		}
		key := fmt.Appendf(make([]byte, 30*k+k/(keys-1)*limit), "%d", k)
		var b Batch
		if rng.IntN(200) == 0 {
			b.Drop(slot)
		}
		b.Append(slot, Record{Seq: n, Key: key})
		b.Index(slot, key, n)
		if _, err := s.Apply(&b); err != nil {
			t.Fatal(err)
		}
		bytes, entries := indexCacheSize(s.index)
		if bytes != s.index.bytes || bytes > limit {
			t.Fatalf("it holds %d bytes, counts %d, and may have %d", bytes, s.index.bytes, limit)
		}
		most = max(most, entries)
		if records, indexed := slotSize(s, slot); records != indexed {
			t.Fatalf("slot %d has %d records of %d keys", slot, records, indexed)
		}
	}
	if most < 5 || reads.scans > slots {
		t.Errorf("it never held more than %d entries, and took %d scans of %d slots", most, reads.scans, slots)
	}
}

func slotSize(r Reader, slot uint32) (records, indexed int) {
	for range r.Log(slot, 0, 1<<64-1) {
		records++
	}
	for range r.Keys(slot, nil) {
		indexed++
	}
	return records, indexed
}

func indexCacheSize(c *indexCache) (bytes int64, entries int) {
	for _, slot := range c.slots {
		entries += len(slot.seqs)
		for key := range slot.seqs {
			bytes += cost(key)
		}
	}
	return bytes, entries
}

// counting counts the reads of an engine.
type counting struct {
	reader
	gets, scans int
}

func (c *counting) get(key []byte) ([]byte, error) {
	c.gets++
	return c.reader.get(key)
}

func (c *counting) scan(s span) iter.Seq2[pair, error] {
	c.scans++
	return c.reader.scan(s)
}

func TestIndexIsReadOncePerSlotOrElseOncePerKey(t *testing.T) {
	fs := vfs.NewMem()
	// write moves the index of some keys of slot 1, several times each, in a store that
	// was just opened, and says how it read.
	version := uint64(0)
	write := func(from, to int) (gets, scans int) {
		s, err := Open(Options{Dir: "/dir", FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		reads := &counting{reader: s.view.r}
		s.index.r = reads
		for range 3 {
			for key := from; key < to; key++ {
				version++
				var b Batch
				b.Append(1, Record{Seq: version, Key: fmt.Appendf(nil, "%04d", key)})
				b.Index(1, fmt.Appendf(nil, "%04d", key), version)
				if _, err := s.Apply(&b); err != nil {
					t.Fatal(err)
				}
			}
		}
		return reads.gets, reads.scans
	}
	tests := []struct {
		name        string
		from, to    int
		gets, scans int
	}{
		{"new keys of an empty slot", 0, 100, 0, 1},
		{"old keys and new ones of a short index", 0, 200, 0, 1},
		{"the first keys of a long index", 0, 100, 0, 1},
		{"other keys of a long index", 150, 200, 50, 1},
		{"new keys of a long index", 1000, 1010, 10, 1},
	}
	for _, test := range tests {
		gets, scans := write(test.from, test.to)
		if gets != test.gets || scans != test.scans {
			t.Errorf("%s: %d reads and %d scans, should be %d and %d", test.name, gets, scans, test.gets, test.scans)
		}
	}
}
