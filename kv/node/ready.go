package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dyschord/dht"
	"dyschord/kv/gateway"
)

// pollEvery is how often those who wait for a node look.
const pollEvery = 20 * time.Millisecond

// Unsettled is why Ready or Settled gave up when its context ended.
type Unsettled struct {
	Why string // what was missing at last
	err error
}

// Error says what was missing.
func (u *Unsettled) Error() string { return u.Why + ": " + u.err.Error() }

// Unwrap returns the context's error.
func (u *Unsettled) Unwrap() error { return u.err }

// Ready waits until all checks pass. The error is *Unsettled when ctx ends first, and
// what ended the node if it ends.
func (n *Node) Ready(ctx context.Context) error {
	var why string
	for {
		missing := slices.DeleteFunc(n.Checks(ctx), func(c gateway.Check) bool { return c.OK })
		if len(missing) == 0 {
			return nil
		}
		if why == "" || ctx.Err() == nil { // else the checks were cut short
			why = "not ready: " + missing[0].Name + ": " + missing[0].Why
		}
		select {
		case <-n.done:
			if n.err == nil {
				return fmt.Errorf("node ended before it was ready: %w", dht.ErrClosed)
			}
			return fmt.Errorf("node ended before it was ready: %w", n.err)
		default:
		}
		if !wait(ctx, pollEvery) {
			return &Unsettled{why, ctx.Err()}
		}
	}
}

// Settled waits until the node is ready, at least members nodes are up, and every
// slot has all its copies. The error is *Unsettled when ctx ends first, and what ended
// the node if it ends.
func (n *Node) Settled(ctx context.Context, members int) error {
	if err := n.Ready(ctx); err != nil {
		return err
	}
	var why string
	for {
		up, short, err := n.census(ctx)
		switch {
		case err == nil && up >= members && short == 0:
			return nil
		case errors.Is(err, dht.ErrClosed):
			return err
		case why == "" || ctx.Err() == nil: // else the census was cut short
			why = fmt.Sprintf("%d of %d nodes are up, %d slots lack copies", up, members, short)
		}
		if !wait(ctx, 5*pollEvery) {
			return &Unsettled{why, ctx.Err()}
		}
	}
}

// census counts the nodes that are up and the slots that lack copies.
func (n *Node) census(ctx context.Context) (up, short int, err error) {
	err = n.inside(ctx, func(ctx context.Context) error {
		seen, err := n.kv.Survey(ctx)
		for _, m := range seen.Members {
			if m.State == "up" {
				up++
			}
		}
		short = seen.UnderReplicated
		return err
	})
	return up, short, err
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
