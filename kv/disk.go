package kv

import (
	"context"
	"errors"
	"fmt"

	"dyschord/dht"
	"dyschord/kv/store"
)

// disk is the way of a node's changes to its store. A change is applied, and so
// visible, at once; one activity waits for the disk on behalf of everybody, so that
// what was applied meanwhile shares the next fsync.
type disk struct {
	applied uint64 // changes
	durable uint64
	last    store.Commit
	waiting []barrier
	running bool
	failed  error
}

// barrier is something to be done when the first n changes are durable.
type barrier struct {
	n    uint64
	done func()
}

// apply makes b visible. store.ErrFull means that nothing happened; any other error
// stops the node.
func (n *Node) apply(b *store.Batch) error {
	if n.disk.failed != nil {
		return n.disk.failed
	}
	c, err := n.store.Apply(b)
	switch {
	case errors.Is(err, store.ErrFull):
		return err
	case err != nil:
		return n.fail(err)
	}
	n.disk.applied++
	n.disk.last = c
	return nil
}

// durably runs done when all that was applied so far is on the disk, or never if
// the disk fails or the node stops. done must not block.
func (n *Node) durably(done func()) {
	if n.disk.failed != nil {
		return
	}
	n.disk.waiting = append(n.disk.waiting, barrier{n.disk.applied, done})
	if !n.disk.running {
		n.disk.running = true
		n.env.Go("kv.sync", n.sync)
	}
}

func (n *Node) sync(ctx context.Context) {
	defer func() { n.disk.running = false }()
	for len(n.disk.waiting) > 0 {
		commit, upTo := n.disk.last, n.disk.applied
		if upTo > n.disk.durable {
			started := n.env.Now()
			if err := n.env.Block(ctx, commit.Wait); err != nil {
				if ctx.Err() == nil && !errors.Is(err, dht.ErrClosed) {
					_ = n.fail(err) // those who wait hear of it
				}
				n.disk.waiting = nil
				return
			}
			n.env.Emit(Synced{Changes: int(upTo - n.disk.durable), Took: n.env.Now().Sub(started)})
			n.disk.durable = upTo
		}
		done := n.disk.waiting
		k := 0
		for k < len(done) && done[k].n <= upTo {
			k++
		}
		n.disk.waiting = append([]barrier(nil), done[k:]...)
		for _, b := range done[:k] {
			b.done()
		}
	}
}

// flush blocks until all that was applied so far is on the disk.
func (n *Node) flush(ctx context.Context) error {
	done, sig := false, n.env.Signal()
	n.durably(func() { done = true; sig.Notify() })
	for !done {
		if n.disk.failed != nil {
			return n.disk.failed
		}
		if err := sig.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// fail stops the node: after an error of the disk nothing is answered any more.
func (n *Node) fail(err error) error {
	err = fmt.Errorf("kv: store: %w", err)
	if n.disk.failed == nil {
		n.disk.failed = err
		n.disk.waiting = nil
		if !errors.Is(err, store.ErrClosed) {
			n.env.Log().Error("the node stops because its disk failed", "err", err)
			n.cfg.Fatal(err)
		}
	}
	return err
}

// save adds the state of s to b, with the contacts of peers it names first.
func (n *Node) save(b *store.Batch, s *slot) error {
	for _, c := range s.configurations() {
		if err := n.saveContacts(b, c); err != nil {
			return err
		}
	}
	b.SetState(s.id, s.encode())
	return nil
}

func contactName(id dht.ID) string { return "contact/" + id.String() }

func (n *Node) saveContacts(b *store.Batch, c *configuration) error {
	for _, p := range c.Members {
		if n.contacts[p.ID].Same(p) {
			continue
		}
		record := n.env.Record(p)
		if record == nil {
			return fmt.Errorf("kv: no contact is known for member %s", p)
		}
		b.SetMeta(contactName(p.ID), record)
		n.contacts[p.ID] = plain(p)
	}
	return nil
}

// resolve reads the contact that is stored for a member.
func (n *Node) resolve(id dht.ID) (dht.Peer, error) {
	if p, ok := n.contacts[id]; ok {
		return p, nil
	}
	record, err := n.store.Meta(contactName(id))
	if err != nil {
		return dht.Peer{}, fmt.Errorf("contact of member %s: %w", id, err)
	}
	p, err := n.env.Intern(record)
	if err != nil {
		return dht.Peer{}, fmt.Errorf("contact of member %s: %w", id, err)
	}
	p = plain(p)
	n.contacts[id] = p
	return p, nil
}

// update edits the state of s and applies it together with b. On an error nothing
// has changed.
func (n *Node) update(s *slot, b *store.Batch, edit func(*state)) error {
	old := s.state
	edit(&s.state)
	err := n.save(b, s)
	if err == nil {
		err = n.apply(b)
	}
	if err != nil {
		for _, c := range s.configurations() {
			for _, p := range c.Members {
				delete(n.contacts, p.ID)
			}
		}
		s.state = old
	}
	return err
}
