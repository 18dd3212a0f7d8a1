package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dyschord/dht"
	"dyschord/kv"
	"dyschord/kv/gateway"
)

// pollEvery is how often those who wait for a node look.
const pollEvery = 20 * time.Millisecond

// Ready waits until all checks pass. It returns ctx's error when ctx ends first, and
// what ended the node if it ends.
func (n *Node) Ready(ctx context.Context) error {
	for {
		missing := slices.DeleteFunc(n.Checks(ctx), func(c gateway.Check) bool { return c.OK })
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

// Settled waits until the node is ready, at least members nodes are up, and every
// slot has all its copies. It returns ctx's error, with what is missing, when ctx
// ends first.
func (n *Node) Settled(ctx context.Context, members int) error {
	if err := n.Ready(ctx); err != nil {
		return err
	}
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
// neighbour or needs none, and finds itself.
func (n *Node) Checks(ctx context.Context) []gateway.Check {
	state, trouble := n.now.get()
	if state != Ready {
		if trouble == "" {
			trouble = "the node is " + string(state)
		}
		return []gateway.Check{{Name: "joined", Why: trouble}}
	}
	return []gateway.Check{{Name: "joined", OK: true}, n.checkNeighbour(ctx), n.checkLookup(ctx)}
}

// checkNeighbour asks for a live neighbour, unless this is a single node: all data
// that it knows of is here alone.
func (n *Node) checkNeighbour(ctx context.Context) gateway.Check {
	c := gateway.Check{Name: "neighbour"}
	other := func(p dht.Peer) bool { return !p.Same(n.self()) }
	err := n.inside(ctx, func(context.Context) error {
		if near, _ := n.overlay.Near(n.self().ID, 2); slices.ContainsFunc(near, other) {
			return nil
		}
		slots := n.kv.Slots()
		for _, s := range slots {
			if slices.ContainsFunc(s.Members, other) {
				return errors.New("no other member answers, and this node's data needs some")
			}
		}
		if len(slots) == 0 {
			return errors.New("no other member answers")
		}
		return nil
	})
	if c.OK = err == nil; !c.OK {
		c.Why = err.Error()
	}
	return c
}

// checkLookup looks the node's own identifier up.
func (n *Node) checkLookup(ctx context.Context) gateway.Check {
	c := gateway.Check{Name: "lookup"}
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
