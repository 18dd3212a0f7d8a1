package store

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestIndexCacheStaysWithinItsLimit(t *testing.T) {
	const limit, longest = 4000, 300
	s, err := Open(Options{Dir: "/dir", FS: vfs.NewMem(), IndexCache: limit})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	rng := rand.New(rand.NewPCG(1, 1))
	most := 0
	for n := uint64(1); n <= 2000; n++ {
		var b Batch
		key := fmt.Appendf(make([]byte, rng.IntN(longest)), "%d", rng.IntN(50))
		b.Append(1, Record{Seq: n, Key: key})
		b.Index(1, key, n)
		if rng.IntN(200) == 0 {
			b.Drop(1)
		}
		if _, err := s.Apply(&b); err != nil {
			t.Fatal(err)
		}
		bytes := int64(0)
		for at := range s.index.seqs {
			bytes += cost(at)
		}
		if bytes != s.index.bytes || bytes > limit {
			t.Fatalf("it holds %d bytes, counts %d, and may have %d", bytes, s.index.bytes, limit)
		}
		most = max(most, len(s.index.seqs))
	}
	if most < limit/(longest+100) {
		t.Errorf("it never held more than %d entries", most)
	}
}

// counting counts the reads of an engine.
type counting struct {
	reader
	gets int
}

func (c *counting) get(key []byte) ([]byte, error) {
	c.gets++
	return c.reader.get(key)
}

func TestKeysWrittenLatelyAreNotReadAgain(t *testing.T) {
	s, err := Open(Options{Dir: "/dir", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	reads := &counting{reader: s.view.r}
	s.index.r = reads
	const batches = 500 // of 50 keys
	for n := uint64(1); n <= batches; n++ {
		if _, err := s.Apply(numbered(n, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if reads.gets != 50 {
		t.Errorf("moving the index of 50 keys %d times took %d reads", batches, reads.gets)
	}
}
