package kv

import (
	"context"
	"errors"
	"fmt"

	"dyschord/dht"
)

// ErrLastNode is what Leave says when nobody is left to take the data.
var ErrLastNode = errors.New("no other node is left to take the data")

// Leave hands over every slot that this node holds and returns when the data is
// safe elsewhere: a majority of the next members has each slot in force. It fails
// with ErrLastNode if there is no other node, and with ctx's error when the others
// take too long; the node then stays a member and may be asked again. Operations go
// on through this node meanwhile. The overlay is left afterwards, by the caller.
func (n *Node) Leave(ctx context.Context) error {
	n.leaving = true
	for round := 0; n.memberships() > 0; round++ {
		if round%16 == 0 && !n.anybody(ctx) {
			n.leaving = false
			return fmt.Errorf("kv: leave: %w", ErrLastNode)
		}
		n.heartbeat(ctx)
		if err := n.env.Sleep(ctx, n.cfg.Heartbeat/2); err != nil {
			n.leaving = false
			return fmt.Errorf("kv: leave: %d slots are still here: %w", n.memberships(), err)
		}
	}
	for _, stop := range n.stops {
		stop()
	}
	return nil
}

// anybody says whether another node that stays answers.
func (n *Node) anybody(ctx context.Context) bool {
	candidates := n.acquaintances(nil)
	for _, p := range n.partners() {
		candidates = union(candidates, []dht.Peer{p.Peer})
	}
	for _, res := range n.askAll(ctx, candidates, 0) {
		if !n.isLeaving(res.To) {
			return true
		}
	}
	return false
}

// memberships counts the slots that may need this node: those whose latest
// configuration has it, and those of which it has data that a proposer may count
// on, or that has not been seen safe elsewhere.
func (n *Node) memberships() int {
	k := 0
	for _, s := range n.slots {
		if s == nil {
			continue
		}
		if c := s.newest(); c != nil && c.has(n.self()) || s.Tag > 0 || s.copying {
			k++
		}
	}
	return k
}
