package kv

import (
	"context"
	"slices"

	"dyschord/dht"
)

// Health is the condition of a slot in a [Survey].
type Health string

// The conditions of a slot.
const (
	Healthy         Health = "healthy"          // as many live copies as wanted, in force
	UnderReplicated Health = "under-replicated" // serves, with fewer live copies than wanted
	Reconfiguring   Health = "reconfiguring"    // on its way from one configuration to the next
	Unavailable     Health = "unavailable"      // no majority of its members answered
	Unknown         Health = "unknown"          // nobody who answered knows where it is
)

// SlotStatus is what one node says of a slot.
type SlotStatus struct {
	Slot    uint32
	Epoch   uint64     // the latest that this node knows of
	Members []dht.Peer // of that epoch, the primary first
	Role    string     // one of Roles
	Last    uint64     // the highest version in this node's log
	// Short says that the slot has fewer live copies in force than wanted, as far as
	// this node knows. Its primary says so, or in its place the first member that is
	// alive, so that counts of all nodes add up to that of a Survey.
	Short bool
}

// MemberStatus is a node of the cluster, as a survey found it.
type MemberStatus struct {
	Peer  dht.Peer
	State string // up, leaving or down
	Slots int    // how many it is a member of, in their latest epochs
}

// SlotHealth is a slot in a survey.
type SlotHealth struct {
	Slot    uint32
	Epoch   uint64     // the latest that anybody knows of; 0 if Unknown
	Members []dht.Peer // the primary first
	Live    int        // of them, those that have installed the epoch and answered
	Health  Health
}

// Survey is the state of the cluster, as far as it answered.
type Survey struct {
	Members         []MemberStatus // by identifier
	Slots           []SlotHealth   // all, by number
	UnderReplicated int            // slots that are not Healthy
	Complete        bool           // every member of a slot answered, and every slot was found
}

// Roles lists what a node can be to a slot, as SlotStatus has it.
func Roles() []string {
	return []string{"primary", "replica", "joining", "frozen", "former", "elsewhere"}
}

// Slots is this node's own view of the slots it knows of, by number. It costs no
// messages.
func (n *Node) Slots() []SlotStatus {
	var all []SlotStatus
	want := n.cfg.copies(n.countStaying())
	for i := range n.slots {
		c := n.latest(uint32(i))
		if c == nil {
			continue
		}
		status := SlotStatus{Slot: uint32(i), Epoch: c.Epoch, Members: primaryFirst(c), Role: "elsewhere"}
		if s := n.slots[i]; s != nil {
			status.Last, status.Role = s.last, n.role(s, c)
			status.Short = n.short(s, status.Members, want)
		}
		all = append(all, status)
	}
	return all
}

// copies is how many live copies a slot should have when nodes stay in the cluster.
func (c Config) copies(nodes int) int { return max(1, min(c.Replicas, nodes)) }

// lacking is the rule for a slot with fewer live copies than there should be.
func lacking(live, members, want int) bool { return live < members || live < want }

// short is SlotStatus.Short for a slot whose latest configuration has these members.
func (n *Node) short(s *slot, members []dht.Peer, want int) bool {
	speaker := slices.IndexFunc(members, func(p dht.Peer) bool { return !n.dead(p) })
	if speaker < 0 || !members[speaker].Same(n.self()) {
		return false
	}
	if !n.serving(s) || s.Next != nil {
		return true
	}
	live := 0
	for i, p := range s.Cfg.Members {
		if s.lead.members[i].known && !n.dead(p) {
			live++
		}
	}
	return lacking(live, len(members), want)
}

// countStaying counts the nodes, with this one, that seem to be alive and to stay, up
// to as many as there are replicas.
func (n *Node) countStaying() int {
	var staying []dht.Peer
	add := func(p dht.Peer) {
		if len(staying) < n.cfg.Replicas && !n.dead(p) && !n.isLeaving(p) && !contains(staying, p) {
			staying = append(staying, plain(p))
		}
	}
	add(n.self())
	for _, p := range n.peers.list {
		if p.mark >= n.peers.beat-1 { // it shares slots now
			add(p.Peer)
		}
	}
	near, _ := n.overlay.Near(n.self().ID, n.cfg.Replicas) // and not all it knows: it remembers the dead
	for _, p := range near {
		add(p)
	}
	return len(staying)
}

func (n *Node) role(s *slot, c *configuration) string {
	switch {
	case !c.has(n.self()) && s.last == 0 && s.Tag == 0:
		return "elsewhere"
	case !c.has(n.self()):
		return "former"
	case !n.installed(s, c.Epoch):
		return "joining"
	case !n.active(s, c.Epoch) || c.primary().Same(n.self()) && !n.serving(s):
		return "frozen"
	case n.serving(s):
		return "primary"
	}
	return "replica"
}

func primaryFirst(c *configuration) []dht.Peer {
	members := []dht.Peer{c.primary()}
	for _, p := range c.Members {
		if !p.Same(c.primary()) {
			members = append(members, p)
		}
	}
	return members
}

// onStatus describes the slots that this node is a member of, a page at a time, and
// names other nodes.
func (n *Node) onStatus(m *statusRequest) *statusReply {
	reply := &statusReply{Leaving: n.leaving}
	const others = 48
	for p := range n.overlay.Peers() {
		if len(reply.Others) == others {
			break
		}
		if !contains(reply.Others, p) {
			reply.Others = append(reply.Others, plain(p))
		}
	}
	for i := int(m.From); i < len(n.slots); i++ {
		s := n.slots[i]
		if s == nil || n.latest(s.id) == nil {
			continue
		}
		if len(reply.Peers)+len(reply.Others)+maxMembers > dht.MaxPeers || !n.describe(&reply.rows, s.id) {
			reply.More, reply.From = true, uint32(i)
			break
		}
	}
	return reply
}

// maxSurveyed bounds a survey.
const maxSurveyed = 1024

// survey is a crawl in progress.
type survey struct {
	n       *Node
	nodes   []dht.Peer // in the order of discovery
	state   []string
	best    []*configuration
	live    []int // of best
	frozen  []bool
	partial bool
}

// Survey asks every node that it can find how it is and which slots it holds. It
// takes a few round trips, and as long as the slowest node does; ctx bounds it. What
// did not answer leaves Complete false. The error is that of a node shutting down.
func (n *Node) Survey(ctx context.Context) (Survey, error) {
	v := &survey{
		n: n, best: make([]*configuration, len(n.slots)), live: make([]int, len(n.slots)), frozen: make([]bool, len(n.slots)),
	}
	v.found(n.self())
	for _, p := range n.peers.list {
		v.found(p.Peer)
	}
	for p := range n.overlay.Peers() {
		v.found(p)
	}
	for i := range n.slots {
		if c := n.latest(uint32(i)); c != nil {
			for _, p := range c.Members {
				v.found(p)
			}
		}
	}
	ctx, cancel := n.env.WithTimeout(ctx, n.cfg.Timeout)
	defer cancel()
	if err := v.crawl(ctx); err != nil {
		return Survey{}, err
	}
	return v.result(), nil
}

func (v *survey) found(p dht.Peer) {
	if !contains(v.nodes, p) {
		if len(v.nodes) >= maxSurveyed {
			v.partial = true
			return
		}
		v.nodes = append(v.nodes, plain(p))
		v.state = append(v.state, "down")
	}
}

// crawl asks nodes until no new ones are heard of, a few at a time.
func (v *survey) crawl(ctx context.Context) error {
	const atOnce = 16
	calls := v.n.env.Calls()
	defer calls.Close()
	for asked := 0; asked < len(v.nodes) || calls.Pending() > 0; {
		for asked < len(v.nodes) && calls.Pending() < atOnce {
			p := v.nodes[asked]
			asked++
			if p.Same(v.n.self()) {
				v.own()
				continue
			}
			calls.Start(p, &statusRequest{})
		}
		if calls.Pending() == 0 {
			continue
		}
		res, err := calls.Next(ctx)
		if err != nil {
			if ctx.Err() == nil {
				return err
			}
			v.partial = true
			return nil
		}
		if reply, ok := res.Msg.(*statusReply); ok && res.Err == nil {
			v.take(res.To, reply)
			if reply.More {
				calls.Start(res.To, &statusRequest{From: reply.From})
			}
		}
	}
	return nil
}

// own takes in this node's own pages.
func (v *survey) own() {
	for req := new(statusRequest); ; {
		reply := v.n.onStatus(req)
		v.take(v.n.self(), reply)
		if !reply.More {
			return
		}
		req = &statusRequest{From: reply.From}
	}
}

func (v *survey) take(from dht.Peer, m *statusReply) {
	at := slices.IndexFunc(v.nodes, func(p dht.Peer) bool { return p.Same(from) })
	v.state[at] = "up"
	if m.Leaving {
		v.state[at] = "leaving"
	}
	for _, p := range m.Others {
		if !p.IsZero() {
			v.found(p)
		}
	}
	for i := range m.Rows {
		c, err := m.configuration(i)
		r := &m.Rows[i]
		if err != nil || int(r.Slot) >= len(v.best) {
			continue
		}
		for _, p := range c.Members {
			v.found(p)
		}
		if v.best[r.Slot] == nil || v.best[r.Slot].Epoch < c.Epoch {
			v.best[r.Slot], v.live[r.Slot], v.frozen[r.Slot] = &c, 0, false
		}
		if v.best[r.Slot].Epoch == r.Installed {
			v.live[r.Slot]++
			v.frozen[r.Slot] = v.frozen[r.Slot] || r.Frozen
		}
	}
}

func (v *survey) result() Survey {
	out := Survey{Complete: !v.partial, Slots: make([]SlotHealth, len(v.best))}
	staying := 0
	for i, p := range v.nodes {
		if v.state[i] == "up" {
			staying++
		}
		m := MemberStatus{Peer: p, State: v.state[i]}
		for _, c := range v.best {
			if c != nil && c.has(p) {
				m.Slots++
			}
		}
		if m.State == "down" && m.Slots == 0 {
			continue // somebody remembers it, and nothing depends on it
		}
		out.Complete = out.Complete && m.State != "down"
		out.Members = append(out.Members, m)
	}
	slices.SortFunc(out.Members, func(a, b MemberStatus) int { return a.Peer.ID.Cmp(b.Peer.ID) })
	want := v.n.cfg.copies(staying)
	for i := range v.best {
		h := v.slot(i, want)
		if h.Health != Healthy {
			out.UnderReplicated++
		}
		out.Complete = out.Complete && h.Health != Unknown
		out.Slots[i] = h
	}
	return out
}

func (v *survey) slot(i, want int) SlotHealth {
	h := SlotHealth{Slot: uint32(i), Health: Unknown}
	c := v.best[i]
	if c == nil {
		return h
	}
	h.Epoch, h.Members, h.Live = c.Epoch, primaryFirst(c), v.live[i]
	switch {
	case h.Live < c.majority():
		h.Health = Unavailable
	case v.frozen[i]:
		h.Health = Reconfiguring
	case lacking(h.Live, len(c.Members), want):
		h.Health = UnderReplicated
	default:
		h.Health = Healthy
	}
	return h
}
