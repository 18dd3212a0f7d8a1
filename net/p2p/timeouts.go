package p2p

import (
	"math/rand/v2"
	"sync"
	"time"

	"dyschord/dht"
	"dyschord/internal/rto"
)

// timeouts is the host's table of measured round trips, behind a lock.
type timeouts struct {
	cfg   rto.Config
	mu    sync.Mutex
	table rto.Table
}

func (t *timeouts) of(ref uint32, w dht.Waits) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.table.Timeout(&t.cfg, ref, w)
}

func (t *timeouts) learn(ref uint32, rtt time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.table.Learn(ref, rtt)
}

func (t *timeouts) gaveUp(ref uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.table.GiveUp(ref)
}

// randomUpTo is for jitter outside the monitor, where the node's own source must
// not be used.
func randomUpTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d)
}
