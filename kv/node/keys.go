package node

import (
	"context"
	"sync"
	"time"

	"dyschord/kv/store"
)

// countFor is how long one reading of the metrics may count keys, begun slots aside.
const countFor = 100 * time.Millisecond

// keys counts the keys in a store. The store has no such figure, so they are counted
// slot by slot, at each reading as many slots as there is time for: small stores are
// counted as a whole every time, and large ones over several readings.
type keys struct {
	mu     sync.Mutex
	counts []int // by slot
	next   int   // the slot to count next
	whole  bool  // every slot was counted once
}

// count goes on counting, and returns the keys of all slots as they were when last
// counted; ok says whether all were.
func (k *keys) count(ctx context.Context, from store.Reader, slots int) (total int, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.counts == nil {
		k.counts = make([]int, slots)
	}
	began := time.Now()
	for range slots {
		if !k.countNext(ctx, from) {
			return 0, false
		}
		if time.Since(began) > countFor {
			break
		}
	}
	for _, c := range k.counts {
		total += c
	}
	return total, k.whole
}

func (k *keys) countNext(ctx context.Context, from store.Reader) bool {
	c := 0
	for _, err := range from.Keys(uint32(k.next), nil) {
		if err != nil || ctx.Err() != nil {
			return false
		}
		c++
	}
	k.counts[k.next] = c
	k.next = (k.next + 1) % len(k.counts)
	k.whole = k.whole || k.next == 0
	return true
}
