package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestCorruptRecordIsNoticed(t *testing.T) {
	s, err := Open(Options{Dir: "/dir", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := s.Apply(numbered(1, []byte("value"))); err != nil {
		t.Fatal(err)
	}
	// A record that strayed from another place, with a checksum that is right there.
	stray := encodeRecord(1, &Record{Seq: 9, Key: []byte("key 1"), Value: []byte("value")})
	if err := s.db.Set(recordKey(1, 1), stray, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	_, err = s.Record(1, 1)
	_, errLookup := s.Lookup(1, []byte("key 1"))
	_, _, errLast := s.Last(1)
	for _, err := range []error{err, errLookup, errLast} {
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "slot 1, record 1") {
			t.Errorf("error is %v", err)
		}
	}
	count := 0
	for _, err := range s.Log(1, 0, 9) {
		if count++; !errors.Is(err, ErrCorrupt) {
			t.Errorf("log: %v", err)
		}
	}
	if count != 1 {
		t.Errorf("the log went on after an error: %d", count)
	}
	if err := s.db.Delete(recordKey(1, 1), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lookup(1, []byte("key 1")); !errors.Is(err, ErrCorrupt) {
		t.Errorf("an index without its record: %v", err)
	}
}

func TestDamagedTableIsNoticed(t *testing.T) {
	mem := vfs.NewCrashableMem()
	opts := Options{Dir: "/dir", FS: mem, memTable: 64 << 10}
	s, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 4000)
	for n := uint64(1); n <= 200; n++ {
		_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(value)
		awaitRoom(t, s, n, value)
	}
	if err := errors.Join(s.db.Flush(), s.Close()); err != nil {
		t.Fatal(err)
	}
	names, err := mem.List("/dir")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".sst") {
			name = mem.PathJoin("/dir", name)
			data := readFile(t, mem, name)
			for i := 100; i < len(data)/2; i += 512 {
				data[i] ^= 0x40
			}
			writeFile(t, mem, name, data)
		}
	}
	if s, err = Open(opts); err != nil {
		if !errors.Is(err, ErrCorrupt) {
			t.Fatalf("open: %v", err)
		}
		return
	}
	defer func() { _ = s.Close() }()
	if _, err := checkPrefix(s); !errors.Is(err, ErrCorrupt) {
		t.Errorf("reading damaged tables: %v", err)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0, 0, 1, 200, 1, 'k'})                                                // a key longer than the record
	f.Add([]byte{0, 0, 0, 0, 0, 1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 'k'})        // than memory
	f.Add([]byte{0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}) // an endless epoch
	f.Add(encodeRecord(1, &Record{Seq: 2, Key: []byte("k"), Value: []byte("v"), Type: "t", Modified: time.Unix(1, 1)}))
	f.Add(encodeRecord(1, &Record{Epoch: 1 << 63, Seq: 2, Key: []byte("k"), Request: []byte("r"), Deleted: true}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := decodeRecord(1, 2, data); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
		if len(data) < recordHead {
			return
		}
		// With its checksum set right the parser itself is reached.
		data = append([]byte{}, data...)
		binary.BigEndian.PutUint32(data, recordSum(1, 2, data[4:]))
		rec, err := decodeRecord(1, 2, data)
		if err != nil {
			return
		}
		again, err := decodeRecord(1, 2, encodeRecord(1, &rec))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(rec) {
			t.Fatalf("%v became %v, %v", rec, again, err)
		}
	})
}
