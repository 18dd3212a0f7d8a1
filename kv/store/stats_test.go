package store

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A batch of many records reaches the log, and the log is synced, long before Pebble
// has put all of them into its table in memory and Apply returns: the fsync that
// makes the batch durable cannot know of it yet.
func TestStatsCountABatchBeforeItsWaiterIsTold(t *testing.T) {
	s, err := Open(Options{Dir: "/dir", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	const records = 3000
	for n := uint64(1); n <= 10; n++ {
		var b Batch
		for i := uint64(1); i <= records; i++ {
			b.Append(uint32(n), Record{Epoch: 1, Seq: i, Key: []byte("k")})
		}
		commit, err := s.Apply(&b)
		if err == nil {
			err = commit.Wait()
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Stats().Commits; got != int64(n) {
			t.Fatalf("%d commits are counted after %d were waited for", got, n)
		}
	}
}
