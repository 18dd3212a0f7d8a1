package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"dyschord/dht"
)

// Bounds of the pause between two rounds of attempts to join.
const (
	firstPause = 200 * time.Millisecond
	maxPause   = 15 * time.Second
)

// join makes the node a member. It founds a cluster if it has no stored state and
// was told nobody to join through; otherwise it tries until somebody lets it in.
func (n *Node) join(ctx context.Context) error {
	if err := n.inside(ctx, n.recall); err != nil {
		return err
	}
	if !n.member && len(n.cfg.Bootstrap) == 0 {
		return n.found(ctx)
	}
	for pause := firstPause; ; pause = min(pause+pause/2, maxPause) {
		err := n.joinOnce(ctx)
		if err != nil && n.member && !final(err) && ctx.Err() == nil {
			err = n.reopen(ctx)
		}
		if err == nil || final(err) || ctx.Err() != nil {
			return err
		}
		n.now.complain(err.Error())
		n.log.Warn("cannot join yet", "err", err, "retry_after", pause)
		if !wait(ctx, pause/2+rand.N(pause)) {
			return ctx.Err()
		}
	}
}

// recall completes what the directory says of earlier runs by what is in the store.
func (n *Node) recall(context.Context) error {
	known := len(n.kv.Slots())
	if !n.member && len(n.cfg.Bootstrap) == 0 && known > 0 && known < n.cfg.Slots {
		return fmt.Errorf("data directory %s holds %d of %d slots and knows no other member: name one to join through, or, if the first start of a new cluster was cut short, empty the directory",
			n.cfg.DataDir, known, n.cfg.Slots)
	}
	n.member = n.member || known > 0
	return nil
}

// found begins a new cluster, of which this node is the only member.
func (n *Node) found(ctx context.Context) error {
	return n.inside(ctx, func(ctx context.Context) error {
		if err := n.overlay.Join(ctx); err != nil {
			return err
		}
		return n.kv.Found(ctx)
	})
}

// reopen is how a node that was a member before comes back when nobody lets it in.
// Perhaps all were restarted at once, and each waits for the others: so it waits for
// a random while, tries once more, and then opens a ring of its own, which the
// overlay joins to others as it finds them. That founds no cluster: who holds what is
// in the members' stores.
func (n *Node) reopen(ctx context.Context) error {
	if !wait(ctx, rand.N(2*firstPause)) {
		return ctx.Err()
	}
	err := n.joinOnce(ctx)
	if err == nil || final(err) || ctx.Err() != nil {
		return err
	}
	n.log.Warn("no member lets this node in; it opens a ring and waits for the others there", "err", err)
	return n.inside(ctx, func(ctx context.Context) error { return n.overlay.Join(ctx) })
}

// joinOnce tries every seed once. The error names each with what went wrong.
func (n *Node) joinOnce(ctx context.Context) error {
	began := time.Now()
	seeds, failures := n.bootstrapPeers(ctx)
	told := len(seeds)
	err := n.inside(ctx, func(ctx context.Context) error {
		seeds = n.addContacts(seeds)
		if len(seeds) == 0 && len(failures) > 0 {
			return nil
		}
		return n.overlay.Join(ctx, seeds...)
	})
	switch {
	case err == nil && (len(seeds) > 0 || len(failures) == 0), ctx.Err() != nil:
		return err
	case errors.Is(err, dht.ErrTaken):
		return &Refused{By: "the cluster", Why: fmt.Sprintf("identifier %s is taken by another node", n.ID()), cause: dht.ErrTaken}
	case err != nil:
		failures = append(failures, err.Error())
	}
	if refused := n.refusal(seeds[:told], began); refused != nil {
		return refused
	}
	return errors.New(strings.Join(failures, "; "))
}

// bootstrapPeers resolves the bootstrap addresses.
func (n *Node) bootstrapPeers(ctx context.Context) (peers []dht.Peer, failures []string) {
	for _, addr := range n.cfg.Bootstrap {
		p, err := n.host.Resolve(ctx, addr)
		switch {
		case err != nil:
			failures = append(failures, err.Error())
		case p.Same(n.self()):
			failures = append(failures, addr+" is this node itself")
		default:
			peers = append(peers, p)
		}
	}
	return peers, failures
}

// addContacts adds the members that this node knew when it stopped, and those that
// its store names.
func (n *Node) addContacts(seeds []dht.Peer) []dht.Peer {
	add := func(p dht.Peer) {
		if len(seeds) < maxContacts && !p.Same(n.self()) && !slices.ContainsFunc(seeds, p.Same) {
			seeds = append(seeds, p)
		}
	}
	for _, record := range n.contacts {
		if p, err := n.host.Env().Intern(record); err == nil {
			add(p)
		}
	}
	for p := range n.kv.Peers() {
		add(p)
	}
	return seeds
}

// refusal says whether one of the peers refused this node since a time.
func (n *Node) refusal(peers []dht.Peer, since time.Time) error {
	for _, r := range n.host.Refusals() {
		for _, p := range peers {
			if r.When.After(since) && r.PeerID == n.host.PeerIDOf(p) {
				return &Refused{By: r.Addr, Why: r.Reason, cause: causeOf(r.Reason)}
			}
		}
	}
	return nil
}

// causeOf is the error behind a refusal, which crosses the wire in words: they begin
// with the name of what is wrong, and an identifier is no setting that could differ.
func causeOf(reason string) error {
	if strings.HasPrefix(reason, "identifier ") {
		return dht.ErrTaken
	}
	return nil
}

// Refused is why a node ended: a member it should join through will not have it.
type Refused struct {
	By  string // its address
	Why string // what differs, with both values

	cause error
}

// Unwrap returns dht.ErrTaken if another node has the identifier, and nil if the
// settings differ.
func (r *Refused) Unwrap() error { return r.cause }

// Error names the member and what differs.
func (r *Refused) Error() string { return fmt.Sprintf("refused by %s: %s", r.By, r.Why) }

// final says whether trying again cannot help.
func final(err error) bool {
	var refused *Refused
	return errors.As(err, &refused) || errors.Is(err, dht.ErrClosed)
}

// wait pauses for d; it returns false when ctx ends first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
