package node

import (
	"context"
	"fmt"

	"dyschord/dht"
	"dyschord/kv"
	"dyschord/kv/gateway"
)

// Get returns the committed value of key; errors are those of kv.Node.Get.
func (n *Node) Get(ctx context.Context, key []byte) (item kv.Item, path kv.Path, err error) {
	err = n.operate(ctx, func(ctx context.Context) (err error) {
		item, path, err = n.kv.Get(ctx, key)
		return err
	})
	return item, path, err
}

// Put stores a value; errors are those of kv.Node.Put.
func (n *Node) Put(ctx context.Context, key []byte, p kv.Put) (done kv.Written, path kv.Path, err error) {
	err = n.operate(ctx, func(ctx context.Context) (err error) {
		done, path, err = n.kv.Put(ctx, key, p)
		return err
	})
	return done, path, err
}

// Delete removes a value; errors are those of kv.Node.Delete.
func (n *Node) Delete(ctx context.Context, key []byte) (done kv.Written, path kv.Path, err error) {
	err = n.operate(ctx, func(ctx context.Context) (err error) {
		done, path, err = n.kv.Delete(ctx, key)
		return err
	})
	return done, path, err
}

// operate runs a client's operation. A node that is no member (yet) says so at once.
func (n *Node) operate(ctx context.Context, f func(context.Context) error) error {
	state, trouble := n.now.get()
	if state == Starting || state == Joining {
		return fmt.Errorf("%w: the node has not joined the cluster yet: %s", kv.ErrUnavailable, trouble)
	}
	return n.inside(ctx, f)
}

// backend is the node as its gateway sees it.
type backend struct{ n *Node }

var _ gateway.Backend = backend{}

// Get implements gateway.Items.
func (b backend) Get(ctx context.Context, key []byte) (kv.Item, gateway.Access, error) {
	item, path, err := b.n.Get(ctx, key)
	return item, b.access(path), err
}

// Put implements gateway.Items.
func (b backend) Put(ctx context.Context, key []byte, p kv.Put) (kv.Written, gateway.Access, error) {
	done, path, err := b.n.Put(ctx, key, p)
	return done, b.access(path), err
}

// Delete implements gateway.Items.
func (b backend) Delete(ctx context.Context, key []byte) (kv.Written, gateway.Access, error) {
	done, path, err := b.n.Delete(ctx, key)
	return done, b.access(path), err
}

func (b backend) access(p kv.Path) gateway.Access {
	return gateway.Access{Owner: b.n.host.PeerIDOf(p.Owner), Hops: p.Hops}
}

// LookupKey looks up who the overlay names for the slot of key.
func (b backend) LookupKey(ctx context.Context, key []byte) (gateway.Lookup, error) {
	id := b.n.cfg.Space.KeyID(key)
	_, first := b.n.storing().Place(id)
	out, err := b.lookup(ctx, first)
	b.place(&out, id)
	return out, err
}

// LookupID looks up the owners of an identifier.
func (b backend) LookupID(ctx context.Context, id dht.ID) (gateway.Lookup, error) {
	out, err := b.lookup(ctx, id)
	b.place(&out, id)
	return out, err
}

// place says which slot the identifier is in.
func (b backend) place(out *gateway.Lookup, id dht.ID) {
	slot, first := b.n.storing().Place(id)
	out.KeyID, out.Slot, out.SlotID = b.n.cfg.Space.Format(id), slot, b.n.cfg.Space.Format(first)
}

func (b backend) lookup(ctx context.Context, id dht.ID) (out gateway.Lookup, err error) {
	err = b.n.inside(ctx, func(ctx context.Context) error {
		route, err := b.n.overlay.Lookup(ctx, id, b.n.cfg.Replicas)
		out = gateway.Lookup{Messages: route.Messages, Timeouts: route.Timeouts, Took: gateway.Duration(route.Took)}
		for _, p := range route.Owners {
			out.Owners = append(out.Owners, b.owner(p))
		}
		for _, hop := range route.Hops {
			out.Hops = append(out.Hops, gateway.Hop{
				ID: b.format(hop.Peer), PeerID: b.n.host.PeerIDOf(hop.Peer),
				Latency: gateway.Duration(hop.Latency), Why: b.n.overlay.Explain(hop.Why),
			})
		}
		return err
	})
	return out, err
}

func (b backend) owner(p dht.Peer) gateway.Owner {
	return gateway.Owner{ID: b.format(p), PeerID: b.n.host.PeerIDOf(p)}
}

// format writes a peer's identifier; nobody has none.
func (b backend) format(p dht.Peer) string {
	if p.IsZero() {
		return ""
	}
	return b.n.cfg.Space.Format(p.ID)
}

// Ring crawls the cluster. A node that is silent and holds nothing (any more) has
// left, or was replaced: it is no member.
func (b backend) Ring(ctx context.Context) (out gateway.Ring, err error) {
	err = b.n.inside(ctx, func(ctx context.Context) error {
		seen, err := b.n.kv.Survey(ctx)
		if err != nil {
			return err
		}
		out = gateway.Ring{UnderReplicated: seen.UnderReplicated, Complete: seen.Complete}
		for _, m := range seen.Members {
			if m.State == "down" && m.Slots == 0 {
				continue
			}
			out.Members = append(out.Members, gateway.Member{
				ID: b.format(m.Peer), PeerID: b.n.host.PeerIDOf(m.Peer), Multiaddrs: b.n.host.AddrsOf(m.Peer), State: m.State,
			})
		}
		for _, s := range seen.Slots {
			slot := gateway.Slot{Slot: s.Slot, Epoch: s.Epoch, State: string(s.Health)}
			for _, p := range s.Members {
				slot.Members = append(slot.Members, b.format(p))
			}
			out.Slots = append(out.Slots, slot)
		}
		return nil
	})
	return out, err
}

// Table shows the overlay's routing table.
func (b backend) Table(ctx context.Context) (out gateway.Table, err error) {
	err = b.n.inside(ctx, func(context.Context) error {
		t := b.n.overlay.Table()
		out = gateway.Table{Algorithm: t.Algorithm, Self: b.owner(t.Self)}
		for _, section := range t.Sections {
			s := gateway.Section{Name: section.Name}
			for _, e := range section.Entries {
				s.Entries = append(s.Entries, gateway.Entry{Label: e.Label, ID: b.format(e.Peer), PeerID: b.n.host.PeerIDOf(e.Peer)})
			}
			out.Sections = append(out.Sections, s)
		}
		return nil
	})
	return out, err
}

// Describe says who the node is and how it is.
func (b backend) Describe() gateway.NodeInfo {
	n := b.n
	state, detail := n.now.get()
	return gateway.NodeInfo{
		ID: n.ID(), PeerID: n.PeerID(), Multiaddrs: n.Addrs(),
		Cluster: n.cfg.Cluster, Algorithm: n.cfg.Algorithm, Version: n.cfg.Version,
		State: string(state), Detail: detail,
		Bits: int(n.cfg.Space.Width()), Hash: n.cfg.Space.Hash.String(), Slots: n.cfg.Slots, Replicas: n.cfg.Replicas,
		Started: n.began,
	}
}

// Ready runs the checks for readiness.
func (b backend) Ready(ctx context.Context) []gateway.Check { return b.n.Checks(ctx) }

// Leave begins to leave. Describe shows how it goes.
func (b backend) Leave(context.Context) error {
	state, ok := b.n.now.move(Ready, Leaving)
	switch {
	case ok:
		b.n.asked <- struct{}{} // there is room: it is sent once for each time the state becomes Leaving
	case state != Leaving && state != Left:
		return notMember(state)
	}
	return nil
}
