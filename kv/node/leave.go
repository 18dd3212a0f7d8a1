package node

import (
	"context"
	"fmt"
	"time"

	"dyschord/kv/gateway"
)

// linger is how long a node that has left still answers whoever asks how it went.
const linger = time.Second

// ErrNotMember is what Leave says of a node that is not a member (any more).
var ErrNotMember = gateway.ErrNotMember

func notMember(s State) error { return fmt.Errorf("leave: the node is %s: %w", s, ErrNotMember) }

// Leave hands everything over to other nodes and returns when it is safe there; the
// node then ends. With an error it is still a member and goes on: kv.ErrLastNode if
// there is nobody to take the data, ctx's error if the others took too long.
func (n *Node) Leave(ctx context.Context) error {
	if state, ok := n.now.move(Ready, Leaving); !ok {
		return notMember(state)
	}
	return n.handOver(ctx)
}

// handOver does what Leave promises.
func (n *Node) handOver(ctx context.Context) error {
	n.log.Info("leaving")
	if err := n.inside(ctx, n.kv.Leave); err != nil {
		if _, ok := n.now.moveBecause(Leaving, Ready, err.Error()); ok {
			n.log.Warn("still a member", "err", err)
		}
		return err
	}
	n.log.Info("data handed over")
	if err := n.inside(ctx, n.overlay.Leave); err != nil {
		n.log.Warn("the overlay was left without good-bye", "err", err) // it heals
	}
	n.now.set(Left)
	close(n.left)
	return nil
}
