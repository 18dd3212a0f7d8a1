package kademlia

import (
	"context"
	"fmt"
	"slices"

	"dyschord/dht"
)

// upkeep is the state of keeping tables right.
type upkeep struct {
	turn         int // sibling to be asked next
	agreed       int // siblings in a row that knew of nobody new
	bucketTurn   int // bucket to be refreshed next
	sinceRefresh int // rounds since the last refresh
	sinceHeal    int // rounds since the last probe of a lost peer
	healing      bool
	refreshing   bool
	introducing  bool // this node has just come, and asks all siblings
}

const (
	// eagerChecks is how many siblings are asked in a round while the list changes.
	eagerChecks = 4
	// strangersMeasured is how many strangers with Proximity a refresh asks for at least.
	strangersMeasured = 2
)

// round is one round of upkeep, run every Config.Interval. What may wait for strangers
// goes on beside it, so that the siblings are checked in time.
func (n *Node) round(ctx context.Context) {
	n.checkSiblings(ctx)
	if n.sinceRefresh++; n.sinceRefresh >= n.cfg.Refresh && !n.refreshing {
		n.sinceRefresh, n.refreshing = 0, true
		n.env.Go("kademlia.refresh", func(ctx context.Context) {
			defer func() { n.refreshing = false }()
			n.refresh(ctx)
		})
	}
	n.sinceHeal++
	if alone := len(n.table.siblings) == 0; alone || n.sinceHeal >= n.cfg.HealEvery {
		n.sinceHeal = 0
		n.heal()
	}
}

// checkSiblings asks the next sibling, or several while the list changes, whether it
// lives, whom it knows close to this node, and who has died: liveness and news in one.
// Once all have agreed, nobody is missing.
func (n *Node) checkSiblings(ctx context.Context) {
	count := len(n.table.siblings)
	checks := min(1, count)
	if n.agreed < count {
		checks = min(eagerChecks, count)
	}
	requests := make([]request, checks)
	for i := range requests {
		n.turn++
		requests[i] = request{n.table.siblings[n.turn%count], n.question()}
	}
	if named := n.exchange(ctx, requests); len(named) > 0 {
		n.env.Go("kademlia.meet", func(ctx context.Context) { n.meet(ctx, named) })
	}
	if n.agreed >= len(n.table.siblings) && !n.introducing {
		n.table.confirm()
	}
}

// question asks a sibling about this node's neighbourhood.
func (n *Node) question() *near {
	m := n.ask(n.env.Self().ID, n.table.siblings)
	m.N, m.Empty = uint8(n.cfg.Siblings), n.table.empty()
	return m
}

// ask makes a question for the peers closest to target but for those already known.
func (n *Node) ask(target dht.ID, known []dht.Peer) *near {
	salt := n.env.Rand().Uint32()
	return &near{Target: target, Salt: salt, Known: marks(known, salt), Lost: n.news()}
}

// request is a question and whom it is put to.
type request struct {
	to  dht.Peer
	req *near
}

// exchange puts questions to peers, all at once, and takes in those that answer. It
// returns the strangers that they name: meet has to follow.
func (n *Node) exchange(ctx context.Context, requests []request) []dht.Peer {
	calls := n.env.Calls()
	defer calls.Close()
	for _, r := range requests {
		calls.Start(r.to, r.req)
	}
	var named []dht.Peer
	for calls.Pending() > 0 {
		res, err := calls.Next(ctx)
		if err != nil {
			break
		}
		named = append(named, n.learn(res)...)
	}
	return named
}

// learn takes in the answer to a question. It returns the strangers whom it names.
func (n *Node) learn(res dht.Result) []dht.Peer {
	switch verdict(res) {
	case silent:
		n.suspect(res.To, max(1, n.cfg.Tries-1))
	case gone:
		n.lose(res.To)
	case alive:
		return n.learnFrom(res)
	case unclear:
	}
	return nil
}

func (n *Node) learnFrom(res dht.Result) []dht.Peer {
	m, err := dht.As[*nearby](res.Msg)
	if err == nil {
		err = m.validate()
	}
	if err != nil {
		n.env.Log().Warn("peer breaks the protocol", "peer", res.To, "err", err)
		n.lose(res.To)
		return nil
	}
	n.answered(res.From, res.RTT)
	n.mourn(m.Lost)
	named := slices.DeleteFunc(slices.Clone(m.Peers), n.buried)
	if req, ok := res.Req.(*near); !ok || req.Target != n.env.Self().ID {
		return n.strangers(named, n.table.tries)
	}
	if !slices.ContainsFunc(named, n.table.wants) {
		n.agreed++
	}
	return n.strangers(named, n.table.wants)
}

// mourn hears of deaths. That somebody found a peer dead is evidence already, so it
// takes one try less than elsewhere.
func (n *Node) mourn(lost []dht.Peer) {
	for _, p := range lost {
		n.suspect(p, max(1, n.cfg.Tries-1))
	}
}

// handleNear answers from the table.
func (n *Node) handleNear(from dht.Peer, m *near, r dht.Reply) {
	err := m.validate()
	if !n.cfg.Space.Contains(m.Target) {
		err = fmt.Errorf("kademlia: near %s: not in a space of %d bits: %w", m.Target, n.cfg.Space.Width(), dht.ErrMalformed)
	}
	if err != nil {
		r.Send(nil, err)
		return
	}
	r.Send(&nearby{Peers: n.table.answer(from, m), Lost: n.news()}, nil)
	n.mourn(m.Lost)
}

// answer lists the peers closest to the target of m, and one for each empty bucket of
// the sender's that is the same as this node's, but those that the sender knows.
func (t *table) answer(from dht.Peer, m *near) []dht.Peer {
	var out []dht.Peer
	add := func(p dht.Peer) {
		if !p.Same(from) && !p.Same(t.self) && !m.knows(p.ID) {
			out = append(out, p)
		}
	}
	if m.N > 0 {
		best := t.closest(m.Target, int(m.N)+2) // the two of us may be among them
		for i := range best.n {
			add(best.list[i].peer)
		}
	}
	for i := range min(t.prefix(t.self.ID, from.ID), len(t.buckets)) {
		if b := t.buckets[i]; len(b) > 0 && len(out) < maxNearby && m.Empty.Shr(uint(i)).And(dht.NewID(0, 1)) != (dht.ID{}) {
			add(b[len(b)-1])
		}
	}
	return out
}

// refresh looks after the next bucket.
func (n *Node) refresh(ctx context.Context) {
	depth := n.table.depth()
	if depth == 0 {
		return
	}
	i := n.bucketTurn % depth
	n.bucketTurn = (i + 1) % depth
	if b := n.table.bucket(i); len(b) > 0 {
		n.meet(ctx, n.exchange(ctx, []request{{b[0], n.refreshment(i)}}))
		return
	}
	route, err := n.look(ctx, n.inBucket(i), 1)
	n.env.Emit(dht.LookupDone{Route: route, Err: err, Upkeep: true})
}

// refreshment asks somebody in bucket i for more of those in it, if there is room. It
// is put to the one seen least recently, whom the paper pings.
func (n *Node) refreshment(i int) *near {
	b := n.table.bucket(i)
	m := n.ask(n.inBucket(i), b)
	m.N = uint8(n.cfg.K - len(b))
	if n.cfg.Proximity {
		m.N = max(m.N, strangersMeasured)
	}
	if m.N == 0 {
		m.Known = nil
	}
	return m
}

// inBucket is a random identifier in the range of bucket i.
func (n *Node) inBucket(i int) dht.ID {
	rng := n.env.Rand()
	rest := n.cfg.Space.Width() - uint(i) - 1
	low := dht.NewID(rng.Uint64(), rng.Uint64()).And(ones(int(rest)))
	flipped := dht.NewID(0, 1).Shl(rest)
	return n.env.Self().ID.Shr(rest).Shl(rest).Xor(flipped).Or(low)
}
