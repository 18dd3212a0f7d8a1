package store_test

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"dyschord/kv/store"
)

// BenchmarkDurablePut stores records of 100 bytes, each waited for, in a real
// directory (of TMPDIR): appended only, as on the way to an acknowledgement, or
// indexed in the same batch too. Writers share fsyncs, so that 64 of them should do at
// least ten times what one does.
func BenchmarkDurablePut(b *testing.B) {
	benchmarkPut(b, "append", false)
	benchmarkPut(b, "append+index", true)
}

func benchmarkPut(b *testing.B, name string, index bool) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("%s/writers=%d", name, writers), func(b *testing.B) {
			s, err := store.Open(store.Options{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			b.ReportAllocs()
			b.ResetTimer()
			put(b, s, writers, index)
			b.StopTimer()
			stats := s.Stats()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
			b.ReportMetric(float64(b.N)/float64(stats.Syncs), "puts/fsync")
		})
	}
}

func BenchmarkMemoryPut(b *testing.B) {
	s := store.NewMemory(store.MemoryOptions{Crashable: true})
	b.ReportAllocs()
	put(b, s, 1, true)
}

func put(b *testing.B, s store.Store, writers int, index bool) {
	var next atomic.Int64
	var wg sync.WaitGroup
	value := make([]byte, 100)
	for w := range writers {
		wg.Go(func() {
			for seq := uint64(1); next.Add(1) <= int64(b.N); seq++ {
				if err := putOne(s, uint32(w), seq, value, index); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// putOne stores one record, and tries again while the store is behind.
func putOne(s store.Store, slot uint32, seq uint64, value []byte, index bool) error {
	key := fmt.Appendf(nil, "key %d", seq%1000)
	for {
		var batch store.Batch
		batch.Append(slot, store.Record{Epoch: 1, Seq: seq, Key: key, Value: value})
		if index {
			batch.Index(slot, key, seq)
		}
		commit, err := s.Apply(&batch)
		switch {
		case err == nil:
			return commit.Wait()
		case !errors.Is(err, store.ErrBusy):
			return err
		}
		runtime.Gosched()
	}
}
