package kademlia

import (
	"context"
	"errors"
	"slices"
	"time"

	"dyschord/dht"
)

// contacts is what a node remembers of peers besides its table.
type contacts struct {
	meeting []dht.Peer // pinged to be taken in
	probing []dht.Peer // pinged after a suspicion
	lost    []departed // some of those taken for dead, oldest first: where a partition may heal
	seeds   []dht.Peer
}

// departed is a peer that was taken for dead.
type departed struct {
	peer dht.Peer
	at   time.Time
}

const (
	maxMeeting = 64
	maxProbing = 8
	maxLost    = 32
	// deadAfter ends a series of unanswered requests early.
	deadAfter = 2 * time.Second
	// atOnce is sooner than any time-out.
	atOnce = 100 * time.Millisecond
)

// heard considers the sender of a request. That it has asked shows that it lives, but
// not that it can be reached: a stranger for whom there is room is called back, and
// enters the table by its answer.
func (n *Node) heard(p dht.Peer) {
	switch {
	case p.Same(n.env.Self()):
	case n.table.knows(p):
		n.table.touch(p)
	case n.table.wants(p):
		n.callBack(p)
	default:
		n.table.shelve(p)
	}
}

// callBack pings peers that nobody vouches for, to take them in when they answer.
func (n *Node) callBack(peers ...dht.Peer) {
	if list := n.strangers(peers, n.table.wants); len(list) > 0 {
		n.env.Go("kademlia.call_back", func(ctx context.Context) { n.meet(ctx, list) })
	}
}

// strangers are those of peers that are wanted and that nobody pings at present. They
// are noted as being pinged: meet has to follow.
func (n *Node) strangers(peers []dht.Peer, wanted func(dht.Peer) bool) []dht.Peer {
	known := len(n.meeting)
	for _, p := range peers {
		if len(n.meeting) == maxMeeting {
			break
		}
		if wanted(p) && !p.Same(n.env.Self()) && !slices.ContainsFunc(n.meeting, p.Same) {
			n.meeting = append(n.meeting, p)
		}
	}
	return slices.Clone(n.meeting[known:])
}

// meet pings strangers, all at once. Whoever answers is taken in; whoever does not is
// said to be dead to those who name it.
func (n *Node) meet(ctx context.Context, list []dht.Peer) {
	calls := n.env.Calls()
	defer calls.Close()
	for _, p := range list {
		calls.Start(p, &ping{})
	}
	for calls.Pending() > 0 {
		res, err := calls.Next(ctx)
		if err != nil {
			break
		}
		n.meeting = without(n.meeting, res.To)
		switch verdict(res) {
		case alive:
			n.answered(res.From, res.RTT)
		case silent:
			n.bury(res.To)
		case gone, unclear: // it is on its way in, perhaps, and will ask again
		}
	}
	for _, p := range list {
		n.meeting = without(n.meeting, p)
	}
	if len(n.meeting) == 0 {
		n.meeting = nil
	}
}

// answered takes in p, which has answered a request.
func (n *Node) answered(p dht.Peer, rtt time.Duration) {
	n.unbury(p)
	if n.table.enter(p, rtt) {
		n.agreed = 0
	}
}

// suspect has p pinged, up to so many times, if it is in the table, and drops it if it
// is dead.
func (n *Node) suspect(p dht.Peer, tries int) {
	held, ok := n.table.find(p)
	if !ok || !n.member || len(n.probing) == maxProbing || slices.ContainsFunc(n.probing, p.Same) {
		return
	}
	n.probing = append(n.probing, held)
	n.env.Go("kademlia.probe", func(ctx context.Context) {
		outcome := n.probe(ctx, held, tries)
		if n.probing = without(n.probing, held); len(n.probing) == 0 {
			n.probing = nil
		}
		if outcome == gone {
			n.lose(held)
		}
	})
}

// probe pings p. It is gone if it leaves so many pings in a row unanswered, since one
// lost packet is no death, or any for as long as deadAfter: the Env waits longest for
// a peer that it has given up again and again, which is evidence as well. Pings that
// fail at once, since a connection was lost and none can be made at the moment, are
// spread over that time: together they say no more than one. A peer that answers but
// is no member is gone at once.
func (n *Node) probe(ctx context.Context, p dht.Peer, tries int) outcome {
	calls := n.env.Calls()
	defer calls.Close()
	began := n.env.Now()
	for try := range tries {
		calls.Start(p, &ping{})
		res, err := calls.Next(ctx)
		if err != nil {
			return unclear
		}
		if o := verdict(res); o != silent {
			if o == alive {
				n.answered(res.From, res.RTT)
			}
			return o
		}
		if n.env.Now().Sub(began) > deadAfter || try == tries-1 {
			break
		}
		if res.RTT < atOnce && n.env.Sleep(ctx, deadAfter/time.Duration(tries)-res.RTT) != nil {
			return unclear
		}
	}
	return gone
}

// outcome is what a request says about a peer.
type outcome uint8

const (
	unclear outcome = iota // nothing: one of the two is busy or stopping
	alive
	gone   // no member (any more), or none that holds to the rules
	silent // no answer to one request
)

func verdict(res dht.Result) outcome {
	err := res.Err
	switch {
	case err == nil:
		return alive
	case errors.Is(err, dht.ErrTimeout), errors.Is(err, dht.ErrUnreachable):
		return silent
	case errors.Is(err, dht.ErrRejected), errors.Is(err, dht.ErrMalformed), errors.Is(err, dht.ErrUnknownMessage):
		return gone
	}
	return unclear
}

// lose takes p for dead, unless another incarnation of it has entered the table.
func (n *Node) lose(p dht.Peer) {
	if held, ok := n.table.find(p); !ok || held != p || !n.member {
		return
	}
	n.forget(p)
	n.bury(p)
	n.env.Log().Warn("peer lost", "peer", p)
}

// bury remembers p, which has been found dead: for others who may hold it, and in case
// that only a partition hides it.
func (n *Node) bury(p dht.Peer) {
	n.unbury(p)
	n.lost = append(n.lost, departed{p, n.env.Now()})
	if len(n.lost) > maxLost {
		// Not the oldest: behind a partition are those lost first, and deaths go on.
		at := n.env.Rand().IntN(maxLost)
		n.lost = slices.Delete(n.lost, at, at+1)
	}
}

func (n *Node) unbury(p dht.Peer) {
	n.lost = slices.DeleteFunc(n.lost, func(d departed) bool { return d.peer.Same(p) })
}

// buried says whether p has been found dead a moment ago: who names it does not know.
func (n *Node) buried(p dht.Peer) bool {
	return slices.ContainsFunc(n.lost, func(d departed) bool {
		return d.peer.Same(p) && d.peer.Inc >= p.Inc && n.env.Now().Sub(d.at) < buriedFor*n.cfg.Interval
	})
}

// forget drops p from the table. The replacement cache has somebody for its place.
func (n *Node) forget(p dht.Peer) {
	sibling, held := n.table.remove(p)
	if sibling {
		n.agreed = 0
	}
	if held {
		spares := n.table.spares(n.table.prefix(n.table.self.ID, p.ID))
		slices.Reverse(spares) // the newest first (§4.1)
		n.callBack(spares...)
	}
}

// news lists the peers found dead a moment ago.
func (n *Node) news() []dht.Peer {
	var out []dht.Peer
	now := n.env.Now()
	for i := len(n.lost) - 1; i >= 0 && len(out) < maxNews; i-- {
		if now.Sub(n.lost[i].at) < newsFor*n.cfg.Interval {
			out = append(out, n.lost[i].peer)
		}
	}
	return out
}

const (
	newsFor   = 15 // for so many intervals a death is news to others
	buriedFor = 5  // and so long nobody is believed who names the dead
)
