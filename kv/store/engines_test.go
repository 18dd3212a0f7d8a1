package store_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"dyschord/kv/store"
	"dyschord/kv/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	for name, opts := range map[string]store.MemoryOptions{"plain": {}, "crashable": {Crashable: true}} {
		t.Run(name, func(t *testing.T) {
			storetest.TestStore(t, func(tb testing.TB) (store.Store, func() store.Store) {
				s := store.NewMemory(opts)
				return s, func() store.Store {
					if err := s.Close(); err != nil {
						tb.Fatal(err)
					}
					var err error
					if s, err = s.Reopen(); err != nil {
						tb.Fatal(err)
					}
					return s
				}
			})
		})
	}
}

func TestPebble(t *testing.T) {
	cache := store.NewCache(1 << 20)
	defer cache.Close()
	opts := store.Options{Dir: "/data/node", Cache: cache}
	storetest.TestStore(t, openPebble(opts))
	for name, size := range map[string]int64{"no index cache": -1, "an index cache of three keys": 3 * 75} {
		opts.IndexCache = size
		t.Run(name, func(t *testing.T) { storetest.TestStore(t, openPebble(opts)) })
	}
}

// openPebble opens stores, each on a file system of its own.
func openPebble(opts store.Options) storetest.Open {
	return func(tb testing.TB) (store.Store, func() store.Store) {
		opts := opts
		opts.FS = vfs.NewMem()
		s, err := store.Open(opts)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = s.Close() })
		return s, func() store.Store {
			if err := s.Close(); err != nil {
				tb.Fatal(err)
			}
			if s, err = store.Open(opts); err != nil {
				tb.Fatal(err)
			}
			return s
		}
	}
}
