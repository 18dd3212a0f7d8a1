package kv

import (
	"context"
	"fmt"
	"time"

	"dyschord/dht"
	"dyschord/kv/store"
)

// sessions are the snapshots that copies are read from.
type sessions struct {
	open []*session
	last uint64
}

type session struct {
	id      uint64
	peer    dht.Peer
	snap    store.Snapshot
	page    page // what all pages have in common
	used    time.Time
	reading bool
}

const (
	maxSessions = 64
	sessionIdle = 30 * time.Second
)

// onFetch answers with the next page of a copy.
func (n *Node) onFetch(from dht.Peer, m *fetch, r dht.Reply) {
	ses, err := n.session(from, m)
	switch {
	case err != nil:
		r.Send(nil, err)
		return
	case ses == nil:
		r.Send(&page{known: n.newer(m.Slot, 0)}, nil)
		return
	case ses.page.To == m.After:
		n.closeSession(ses)
		whole := ses.page
		whole.Done = true
		r.Send(&whole, nil)
		return
	}
	ses.reading = true
	n.env.Go("kv.page", func(ctx context.Context) {
		pg := ses.page
		err := n.env.Block(ctx, func() error { return readPage(ses.snap, m, &pg, n.cfg.room()) })
		ses.reading, ses.used = false, n.now()
		if err != nil {
			n.closeSession(ses)
			n.damaged(n.slot(m.Slot), err)
			r.Send(nil, fmt.Errorf("kv: read a copy of slot %d: %w", m.Slot, err))
			return
		}
		if pg.Done {
			n.closeSession(ses)
		}
		r.Send(&pg, nil)
	})
}

// session finds the copy in progress, or begins one if the log here is what is
// wanted; it is nil if not.
func (n *Node) session(from dht.Peer, m *fetch) (*session, error) {
	for _, ses := range n.sessions.open {
		if ses.id == m.Session && ses.peer.Same(from) && !ses.reading {
			return ses, nil
		}
	}
	s := n.held(m.Slot)
	if m.Session != 0 || s == nil || s.Dirty || s.copying || s.corrupt {
		return nil, nil
	}
	if !(s.Tag == m.Epoch && s.last >= m.Need || m.Newer && s.Tag == m.Epoch+1) || m.After > s.last {
		return nil, nil
	}
	if len(n.sessions.open) >= maxSessions {
		return nil, dht.ErrBusy
	}
	n.sessions.last++
	ses := &session{
		id: n.sessions.last, peer: plain(from), used: n.now(),
		page: page{Session: n.sessions.last, Epoch: s.Tag, To: s.last, Com: s.Com},
	}
	if s.last > m.After {
		ses.snap = n.store.Snapshot()
		n.sessions.open = append(n.sessions.open, ses)
	}
	return ses, nil
}

// readPage fills pg from a snapshot: at least one record, if there is one.
func readPage(snap store.Snapshot, m *fetch, pg *page, room int) error {
	pg.Done = true
	if m.After >= pg.To {
		return nil
	}
	size := 0
	for rec, err := range snap.Log(m.Slot, m.After+1, pg.To) {
		if err != nil {
			return err
		}
		wire := toWire(&rec)
		if len(pg.Records) > 0 && size+wire.size() > room || len(pg.Records) == maxRecords {
			pg.Done = false
			return nil
		}
		size += wire.size()
		pg.Records = append(pg.Records, wire)
	}
	return nil
}

func (n *Node) closeSession(ses *session) {
	for i, other := range n.sessions.open {
		if other == ses {
			n.sessions.open = append(n.sessions.open[:i:i], n.sessions.open[i+1:]...)
			if err := ses.snap.Close(); err != nil {
				n.env.Log().Warn("a snapshot was not closed", "err", err)
			}
			return
		}
	}
}

// sweepSessions ends copies that nobody goes on with.
func (n *Node) sweepSessions() {
	now := n.now()
	for _, ses := range append([]*session(nil), n.sessions.open...) {
		if !ses.reading && now.Sub(ses.used) > sessionIdle {
			n.closeSession(ses)
		}
	}
}
