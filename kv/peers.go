package kv

import (
	"context"
	"errors"
	"time"

	"dyschord/dht"
)

// peers is what a node thinks of the others it deals with.
type peers struct {
	list  []*peer // in the order of acquaintance
	byRef map[uint32]*peer
	beat  int
}

type peer struct {
	dht.Peer
	asking  int       // signs of life that are awaited
	silent  time.Time // when the first heartbeat was sent that nothing has answered since; zero if none
	refused int       // heartbeats in a row that found no connection
	leaving time.Time // when it last said that it leaves; zero if it said that it does not
	unfit   time.Time // until then it is given no copies
	rowAt   int       // where its next heartbeat's rows begin
	needed  time.Time // when it last shared a slot with this node
	mark    int       // the heartbeat that it was last counted in
	looking bool      // the overlay is asked for its addresses
}

const (
	maxSilence = 3 // heartbeats without an answer, after which a peer counts as dead
	maxRefused = 2 // the same, if it cannot even be connected to
	maxAsking  = 3
	leaveKept  = 15 // heartbeats for which a leave is believed that is not repeated
	peerKept   = 10 * time.Minute
)

// peer returns what is known of p, begun if there was nothing.
func (n *Node) peer(p dht.Peer) *peer {
	if known := n.peers.byRef[p.Ref]; known != nil {
		return known
	}
	fresh := &peer{Peer: plain(p), needed: n.now()}
	n.peers.byRef[p.Ref] = fresh
	n.peers.list = append(n.peers.list, fresh)
	return fresh
}

// dead says whether p has not answered for a while. It decides who is asked and who
// is replaced, and nothing that safety rests on.
func (n *Node) dead(p dht.Peer) bool {
	known := n.peers.byRef[p.Ref]
	if known == nil || known.silent.IsZero() || known.mark < n.peers.beat-1 {
		return false // never silent, or not listened to any more
	}
	return known.refused >= maxRefused || n.now().Sub(known.silent) >= maxSilence*n.cfg.Heartbeat
}

func (n *Node) isLeaving(p dht.Peer) bool {
	if p.Same(n.self()) {
		return n.leaving
	}
	known := n.peers.byRef[p.Ref]
	return known != nil && !known.leaving.IsZero() && n.now().Sub(known.leaving) < leaveKept*n.cfg.Heartbeat
}

// unfit keeps p from being chosen for a while.
func (n *Node) unfit(p dht.Peer) {
	n.peer(p).unfit = n.now().Add(5 * n.cfg.Heartbeat)
}

// eligible says whether p can be given a slot.
func (n *Node) eligible(p dht.Peer) bool {
	if n.dead(p) || n.isLeaving(p) {
		return false
	}
	known := n.peers.byRef[p.Ref]
	return known == nil || !n.now().Before(known.unfit)
}

// quorate says whether a majority of the members may be alive.
func (n *Node) quorate(c *configuration) bool { return n.countLive(c) >= c.majority() }

// partners are the peers that share slots with this node.
func (n *Node) partners() []*peer {
	now := n.now()
	var all []*peer
	add := func(c *configuration) {
		for _, p := range n.others(c.Members) {
			known := n.peer(p)
			if known.mark < n.peers.beat-1 {
				known.silent, known.refused = time.Time{}, 0
			}
			if known.mark != n.peers.beat {
				known.mark, known.needed = n.peers.beat, now
				all = append(all, known)
			}
		}
	}
	for _, s := range n.slots {
		if s == nil {
			continue
		}
		if s.Cfg.Epoch > 0 && s.Cfg.has(n.self()) {
			add(&s.Cfg)
		}
		if s.Next != nil && s.Next.has(n.self()) {
			add(s.Next)
		}
	}
	return all
}

// heartbeat sends each partner a sign of life, with what it should know of some of
// the slots they share, and forgets peers that were not needed for long.
func (n *Node) heartbeat(context.Context) {
	n.peers.beat++
	calls := n.env.Calls()
	for _, p := range n.partners() {
		if p.asking == maxAsking {
			continue
		}
		if p.asking++; p.silent.IsZero() {
			p.silent = n.now()
		}
		calls.Start(p.Peer, n.greeting(p))
	}
	if calls.Pending() == 0 {
		calls.Close()
	} else {
		n.env.Go("kv.heartbeat", func(ctx context.Context) { n.hear(ctx, calls) })
	}
	n.forgetPeers()
	n.sweepSessions()
}

const beatRows = 64 // slots described in one heartbeat

// greeting describes the next slots that p shares with this node.
func (n *Node) greeting(p *peer) *tell {
	msg := &tell{Leaving: n.leaving}
	for range n.slots {
		id := uint32(p.rowAt % len(n.slots))
		if s := n.slots[id]; s != nil && n.latest(id) != nil && (s.Cfg.has(p.Peer) || s.Next != nil && s.Next.has(p.Peer)) {
			if len(msg.Rows) == beatRows || !n.describe(&msg.rows, id) {
				break
			}
		}
		p.rowAt = (p.rowAt + 1) % len(n.slots)
	}
	return msg
}

func (n *Node) hear(ctx context.Context, calls dht.Calls) {
	defer calls.Close()
	for calls.Pending() > 0 {
		res, err := calls.Next(ctx)
		if err != nil {
			return
		}
		p := n.peer(res.To)
		p.asking--
		reply, ok := res.Msg.(*tell)
		switch {
		case ok && res.Err == nil:
			p.silent, p.refused = time.Time{}, 0
			n.takeIn(res.To, reply)
			continue
		case errors.Is(res.Err, dht.ErrBusy) && p.asking == 0:
			p.silent = time.Time{} // nothing was sent
		case errors.Is(res.Err, dht.ErrUnreachable):
			p.refused++
		}
		if n.dead(p.Peer) && !p.looking {
			n.lookFor(p)
		}
	}
}

// lookFor asks the overlay for a peer that does not answer: it may have come back
// with other addresses, which are learnt on the way.
func (n *Node) lookFor(p *peer) {
	p.looking = true
	n.env.Go("kv.look_for", func(ctx context.Context) {
		if _, err := n.overlay.Lookup(ctx, p.ID, 1); err != nil {
			n.env.Log().Debug("a member was not found", "peer", p.Peer, "err", err)
		}
		if err := n.env.Sleep(ctx, 2*n.cfg.Heartbeat); err != nil {
			return
		}
		p.looking = false
	})
}

func (n *Node) forgetPeers() {
	now := n.now()
	kept := n.peers.list[:0:0]
	for _, p := range n.peers.list {
		if p.asking > 0 || p.looking || now.Sub(p.needed) < peerKept {
			kept = append(kept, p)
		} else {
			delete(n.peers.byRef, p.Ref)
		}
	}
	n.peers.list = kept
	boxes := n.out[:0:0]
	for _, o := range n.out {
		if o.flying > 0 || len(o.queue) > 0 || n.peers.byRef[o.to.Ref] != nil {
			boxes = append(boxes, o)
		}
	}
	n.out = boxes
}
