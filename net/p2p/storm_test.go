package p2p

import (
	"context"
	"errors"
	"testing"
	"time"

	"dyschord/dht"
)

// TestEveryCallEndsOnce lets nodes call each other while their connections are cut.
func TestEveryCallEndsOnce(t *testing.T) {
	const nodes, callers, each = 4, 6, 60
	var all []*node
	cfg := Config{RedialMin: time.Millisecond, RedialMax: 5 * time.Millisecond, InFlight: 16, SendBuffer: 1 << 20}
	for range nodes {
		all = append(all, newNode(t, cfg))
	}
	finished := make(chan map[string]int, nodes)
	for i, n := range all {
		var peers []dht.Peer
		for j, other := range all {
			if j != i {
				peers = append(peers, n.knows(other))
			}
		}
		go func() { finished <- n.storm(peers, callers, each) }()
	}
	total := map[string]int{}
	for range all {
		for outcome, count := range <-finished {
			total[outcome] += count
		}
	}
	t.Logf("outcomes: %v", total)
	if total["reply"] < nodes*callers*each/2 {
		t.Errorf("too few replies: %v", total)
	}
	if total["other"] > 0 || total["wrong"] > 0 {
		t.Errorf("calls ended as they must not: %v", total)
	}
	for _, n := range all {
		n.until("nothing is under way", n.quiet)
	}
}

// storm makes calls from several activities and counts how they end.
func (n *node) storm(peers []dht.Peer, callers, each int) map[string]int {
	outcomes := map[string]int{}
	n.do(func(ctx context.Context) {
		env, busy := n.Env(), callers
		done := env.Signal()
		for range callers {
			env.Go("caller", func(ctx context.Context) {
				for i := range each {
					to := peers[env.Rand().IntN(len(peers))]
					outcomes[n.stormCall(ctx, to)]++
					if i%20 == 10 {
						n.net.swarm.ClosePeer(n.link(to.Ref).pid)
					}
				}
				busy--
				done.Notify()
			})
		}
		for busy > 0 && done.Wait(ctx) == nil {
			continue
		}
	})
	return outcomes
}

func (n *node) stormCall(ctx context.Context, to dht.Peer) string {
	env := n.Env()
	if env.Rand().IntN(4) == 0 {
		want := env.Rand().IntN(200_000)
		msg, err := dht.Ask[*value](ctx, env, to, &value{Data: make([]byte, env.Rand().IntN(200_000)), Want: want})
		return outcome(err, err == nil && len(msg.Data) == want)
	}
	num := env.Rand().Uint64()
	msg, err := dht.Ask[*echo](ctx, env, to, &echo{Num: num})
	return outcome(err, err == nil && msg.Num == num)
}

func outcome(err error, right bool) string {
	switch {
	case err == nil && right:
		return "reply"
	case err == nil:
		return "wrong"
	case errors.Is(err, dht.ErrTimeout):
		return "timeout"
	case errors.Is(err, dht.ErrUnreachable):
		return "unreachable"
	case errors.Is(err, dht.ErrBusy):
		return "busy"
	}
	return "other"
}

// quiet says that no link of n has anything queued or pending.
func (n *node) quiet() bool {
	for _, l := range n.links() {
		l.mu.Lock()
		out, in := l.out, l.in
		busy := len(l.waiting) > 0 || out != nil && (out.active.Load() != 0 || out.queue.length.Load() != 0)
		l.mu.Unlock()
		if busy || in != nil && (in.handling.Load() != 0 || in.queue.length.Load() != 0) {
			return false
		}
	}
	return true
}
