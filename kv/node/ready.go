package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dyschord/dht"
	"dyschord/kv"
)

// Check is one condition of readiness.
type Check struct {
	Name string
	OK   bool
	Why  string // what is missing, if not OK
}

// pollEvery is how often those who wait for a node look.
const pollEvery = 20 * time.Millisecond

// Ready waits until all checks pass. It returns ctx's error when ctx ends first, and
// what ended the node if it ends.
func (n *Node) Ready(ctx context.Context) error {
	for {
		missing := slices.DeleteFunc(n.Checks(ctx), func(c Check) bool { return c.OK })
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-n.done:
			return fmt.Errorf("node ended before it was ready: %w", n.err)
		default:
		}
		if !wait(ctx, pollEvery) {
			return fmt.Errorf("not ready: %s: %s: %w", missing[0].Name, missing[0].Why, ctx.Err())
		}
	}
}

// Settled waits until at least members nodes are up and every slot has all its
// copies. It returns ctx's error, with what is missing, when ctx ends first.
func (n *Node) Settled(ctx context.Context, members int) error {
	for {
		var seen kv.Survey
		err := n.inside(ctx, func(ctx context.Context) (err error) {
			seen, err = n.kv.Survey(ctx)
			return err
		})
		up := 0
		for _, m := range seen.Members {
			if m.State == "up" {
				up++
			}
		}
		switch {
		case err == nil && up >= members && seen.UnderReplicated == 0:
			return nil
		case errors.Is(err, dht.ErrClosed):
			return err
		case !wait(ctx, 5*pollEvery):
			return fmt.Errorf("%d of %d nodes are up, %d slots lack copies: %w", up, members, seen.UnderReplicated, ctx.Err())
		}
	}
}

// Checks are the conditions under which the node serves: it is a member, has a live
// neighbour or is the only node there ever was, and finds itself.
func (n *Node) Checks(ctx context.Context) []Check {
	state, trouble := n.now.get()
	if state != Ready {
		if trouble == "" {
			trouble = "the node is " + string(state)
		}
		return []Check{{Name: "joined", Why: trouble}}
	}
	return []Check{{Name: "joined", OK: true}, n.checkNeighbour(ctx), n.checkLookup(ctx)}
}

func (n *Node) checkNeighbour(ctx context.Context) Check {
	c := Check{Name: "neighbour"}
	err := n.host.Do(ctx, func(context.Context) {
		near, _ := n.overlay.Near(n.self().ID, 2)
		if slices.ContainsFunc(near, func(p dht.Peer) bool { return !p.Same(n.self()) }) {
			n.company = true
			c.OK = true
			return
		}
		c.OK = !n.company && len(n.cfg.Bootstrap) == 0 && len(n.contacts) == 0
		c.Why = "no other member answers"
	})
	if err != nil {
		c.Why = err.Error()
	}
	return c
}

// checkLookup looks the node's own identifier up.
func (n *Node) checkLookup(ctx context.Context) Check {
	c := Check{Name: "lookup"}
	err := n.host.Do(ctx, func(ctx context.Context) {
		route, err := n.overlay.Lookup(ctx, n.self().ID, 1)
		switch {
		case err != nil:
			c.Why = err.Error()
		case len(route.Owners) == 0 || !route.Owners[0].Same(n.self()):
			c.Why = fmt.Sprintf("a lookup of this node's identifier finds %v", route.Owners)
		default:
			c.OK = true
		}
	})
	if err != nil {
		c.Why = err.Error()
	}
	return c
}
