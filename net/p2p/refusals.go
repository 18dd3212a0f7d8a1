package p2p

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Refusal is a handshake that failed because two nodes do not belong together.
type Refusal struct {
	PeerID string
	Addr   string // of the other side
	Reason string // for people at this node, such as "algorithm: chord here, kademlia there"
	When   time.Time
}

// maxRefusals is the number of peers whose last refusal is remembered.
const maxRefusals = 16

type refusals struct {
	mu   sync.Mutex
	list []Refusal // latest last, one for each peer
}

// note remembers a refusal, and logs it as a warning when it is news.
func (r *refusals) note(log *slog.Logger, pid peer.ID, addr, reason string) {
	level := slog.LevelWarn
	fresh := Refusal{PeerID: pid.String(), Addr: addr, Reason: reason, When: time.Now()}
	r.mu.Lock()
	r.list = slices.DeleteFunc(r.list, func(old Refusal) bool {
		if old.PeerID == fresh.PeerID && old.Reason == reason {
			level = slog.LevelDebug
		}
		return old.PeerID == fresh.PeerID
	})
	r.list = append(r.list, fresh)
	r.list = r.list[max(0, len(r.list)-maxRefusals):]
	r.mu.Unlock()
	log.Log(context.Background(), level, "peer refused", "peer", pid, "addr", addr, "reason", reason)
}

// Refusals returns the last refusal of each peer, oldest first. A node that cannot
// join finds the reason here.
func (h *Host) Refusals() []Refusal {
	h.refusals.mu.Lock()
	defer h.refusals.mu.Unlock()
	return slices.Clone(h.refusals.list)
}

// joinFew joins texts, of which an error message names three at most.
func joinFew(texts []string) string {
	if len(texts) > 3 {
		texts = append(texts[:3:3], "...")
	}
	return strings.Join(texts, "; ")
}
