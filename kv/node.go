package kv

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"dyschord/dht"
	"dyschord/kv/store"
)

// Node is one node's part of the store: the slots it holds, and its gateway to all
// others. It is a service of its Env, beside the overlay. All methods but Kinds must
// be called from an activity of the node.
type Node struct {
	env     dht.Env
	overlay dht.Overlay
	store   store.Store
	cfg     Config

	slots []*slot          // by number; nil where nothing is known
	where []*configuration // by number: the latest decided configuration heard of
	seen  []uint64         // by number: a version that the slot has reached
	disk  disk

	contacts map[dht.ID]dht.Peer // members whose contacts are in the store
	peers    peers
	out      []*outbox // one for each peer that records are sent to
	reads    reads
	sessions sessions

	ops     int // operations of clients in progress
	pending int // bytes of records that tails hold in memory
	mends   int // activities that look after slots
	ticks   int // scans since the start
	scanAt  int // where the next partial scan begins
	nonce   uint64
	opCount uint64
	took    int                  // slots that it became primary of since the last summary
	decided [causeFrozen + 1]int // configurations it had decided since then, by cause
	leaving bool
	started bool
	stops   []func()
}

// New makes a node from what its store holds. It serves no slot as primary before
// it has ended that slot's epoch: see [Node.Start]. The store stays the caller's to
// close. It fails when cfg is invalid or differs from the one the store was made
// with, and when the store cannot be read.
func New(env dht.Env, overlay dht.Overlay, st store.Store, cfg Config) (*Node, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	n := &Node{
		env: env, overlay: overlay, store: st, cfg: cfg,
		slots:    make([]*slot, cfg.Slots),
		where:    make([]*configuration, cfg.Slots),
		seen:     make([]uint64, cfg.Slots),
		contacts: make(map[dht.ID]dht.Peer),
		peers:    peers{byRef: make(map[uint32]*peer)},
		nonce:    env.Rand().Uint64(),
	}
	if err := n.checkCluster(); err != nil {
		return nil, err
	}
	for row, err := range st.States() {
		if err == nil {
			err = n.load(row)
		}
		if err != nil {
			return nil, fmt.Errorf("kv: read the state of slot %d: %w", row.Slot, err)
		}
	}
	return n, nil
}

const clusterName = "cluster"

// checkCluster compares the settings that can never change with those in the store.
func (n *Node) checkCluster() error {
	mine := binary.AppendUvarint(nil, uint64(n.cfg.Slots))
	mine = append(mine, byte(n.cfg.Space.Width()), byte(n.cfg.Space.Hash))
	theirs, err := n.store.Meta(clusterName)
	switch {
	case errors.Is(err, store.ErrNotFound):
		var b store.Batch
		b.SetMeta(clusterName, mine)
		if err := n.apply(&b); err != nil {
			return fmt.Errorf("kv: begin the store: %w", err)
		}
		return nil
	case err != nil:
		return fmt.Errorf("kv: read the store: %w", err)
	case bytes.Equal(mine, theirs):
		return nil
	}
	slots, k := binary.Uvarint(theirs)
	if k <= 0 || len(theirs) != k+2 {
		return fmt.Errorf("kv: the store's description of its cluster cannot be read: %x", theirs)
	}
	return fmt.Errorf("kv: the store was made with %d slots, %d bits and hash %s, not %d slots, %d bits and hash %s",
		slots, theirs[k], dht.Hash(theirs[k+1]), n.cfg.Slots, n.cfg.Space.Width(), n.cfg.Space.Hash)
}

func (n *Node) load(row store.SlotState) error {
	if int(row.Slot) >= len(n.slots) {
		return fmt.Errorf("there are %d slots", len(n.slots))
	}
	st, err := decodeState(row.State, n.resolve)
	if err != nil {
		return err
	}
	_, last, err := n.store.Last(row.Slot)
	rotten := errors.Is(err, store.ErrCorrupt) && last > 0
	if err != nil && !rotten {
		return err
	}
	if st.Dirty {
		last = st.Base
	}
	s := n.newSlot(row.Slot)
	s.state, s.last, s.synced, s.corrupt = st, last, last, rotten
	s.tailFrom, s.window = last, newWindow(last)
	n.slots[row.Slot] = s
	return nil
}

// Empty says whether the node's store holds no part of any cluster yet.
func (n *Node) Empty() bool {
	for _, s := range n.slots {
		if s != nil {
			return false
		}
	}
	return true
}

// Found makes this node the only member of every slot: the first configuration of
// each comes from here and from nowhere else. Only the node that starts a new
// cluster calls it, once, and a store that holds slots already is left as it is.
func (n *Node) Found(ctx context.Context) error {
	if !n.Empty() {
		return nil
	}
	first := configuration{Epoch: 1, Members: []dht.Peer{n.self()}}
	var b store.Batch // one: half a cluster must not be left behind
	slots := make([]*slot, len(n.slots))
	for i := range slots {
		s := n.newSlot(uint32(i))
		s.state, s.ready = state{Cfg: first, Tag: 1}, false
		if err := n.save(&b, s); err != nil {
			return fmt.Errorf("kv: found a cluster: %w", err)
		}
		slots[i] = s
	}
	if err := n.apply(&b); err != nil {
		clear(n.contacts)
		return fmt.Errorf("kv: found a cluster: %w", err)
	}
	n.slots = slots
	if err := n.flush(ctx); err != nil {
		return fmt.Errorf("kv: found a cluster: %w", err)
	}
	for _, s := range n.slots {
		s.ready = true
		n.takeLead(s)
	}
	return nil
}

// Start begins the node's duties: heartbeats, repair, and the end of the epochs in
// which it was primary before it restarted. The overlay has joined by then.
func (n *Node) Start(context.Context) error {
	if n.started {
		return nil
	}
	n.started = true
	beat := n.cfg.Heartbeat
	n.stops = append(n.stops,
		n.env.Every("kv.heartbeat", beat, beat/10, n.heartbeat),
		n.env.Every("kv.scan", beat/4, beat/40, n.scan))
	return nil
}

// self is this node as an identity.
func (n *Node) self() dht.Peer { return plain(n.env.Self()) }

// slot returns the slot's entry, made if there was none.
func (n *Node) slot(id uint32) *slot {
	if n.slots[id] == nil {
		n.slots[id] = n.newSlot(id)
	}
	return n.slots[id]
}

func (n *Node) newSlot(id uint32) *slot { return &slot{id: id, ready: true, held: &n.pending} }

// held returns the slot if something is known of it here, else nil.
func (n *Node) held(id uint32) *slot {
	if int(id) >= len(n.slots) {
		return nil
	}
	return n.slots[id]
}

// Peers visits every peer the node holds.
func (n *Node) Peers() iter.Seq[dht.Peer] {
	return func(yield func(dht.Peer) bool) {
		for i := range n.slots {
			for _, c := range n.named(uint32(i)) {
				for _, p := range c.Members {
					if !yield(p) {
						return
					}
				}
			}
		}
		for _, p := range n.peers.list {
			if !yield(p.Peer) {
				return
			}
		}
	}
}

// named are all configurations of a slot that this node keeps.
func (n *Node) named(id uint32) []*configuration {
	var all []*configuration
	if s := n.slots[id]; s != nil {
		all = s.configurations()
	}
	if c := n.where[id]; c != nil {
		all = append(all, c)
	}
	return all
}

// Handle answers a request of another node, or of this one.
func (n *Node) Handle(from dht.Peer, req dht.Message, r dht.Reply) {
	if n.disk.failed != nil {
		r.Send(nil, dht.ErrInternal)
		return
	}
	switch m := req.(type) {
	case *request:
		n.onRequest(from, m, r)
	case *ask:
		r.Send(n.onAsk(m), nil)
	case *tell:
		n.onTell(from, m, r)
	case *appendRequest:
		n.onAppend(from, m, r)
	case *confirm:
		r.Send(n.onConfirm(m), nil)
	case *prepare:
		n.onPrepare(m, r)
	case *stage:
		n.onStage(m, r)
	case *fetch:
		n.onFetch(from, m, r)
	case *accept:
		n.onAccept(m, r)
	case *statusRequest:
		r.Send(n.onStatus(m), nil)
	default:
		r.Send(nil, dht.ErrUnknownMessage)
	}
}
