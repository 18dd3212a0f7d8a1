package p2p

import (
	"math/rand/v2"
	"sync"
	"time"

	"dyschord/dht"
	"dyschord/internal/rto"
)

// timeouts is what was measured of one peer; its handshake was the first sample.
type timeouts struct {
	cfg   *rto.Config
	mu    sync.Mutex
	table rto.Table
}

// one is the Ref under which a table holds its only peer.
const one = 1

func (t *timeouts) of(w dht.Waits) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.table.Timeout(t.cfg, one, w)
}

func (t *timeouts) learn(rtt time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.table.Learn(one, rtt)
}

// gaveUp notes that a peer has let requests time out.
func (t *timeouts) gaveUp() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.table.GiveUp(one)
}

// randomUpTo is for jitter outside the monitor, where the node's own source must
// not be used.
func randomUpTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d)
}
