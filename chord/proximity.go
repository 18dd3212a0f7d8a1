package chord

import (
	"context"
	"fmt"
	"slices"
	"time"

	"dyschord/dht"
)

// choices is how many nodes, besides the present one, a finger is chosen from at a time.
const choices = 4

// Codes of the messages, from this package's range 48-63.
const (
	codeSample  = 48
	codeSampled = 49
)

// sample asks a member for some peers that it knows in [From, To).
type sample struct {
	From dht.ID `cbor:"1,keyasint"`
	To   dht.ID `cbor:"2,keyasint"`
}

// sampled answers sample.
type sampled struct {
	Peers []dht.Peer `cbor:"1,keyasint,omitempty"`
}

func (*sample) Code() uint16  { return codeSample }
func (*sampled) Code() uint16 { return codeSampled }

func (*sample) EachPeer(func(*dht.Peer)) {}

func (m *sampled) EachPeer(f func(*dht.Peer)) {
	for i := range m.Peers {
		f(&m.Peers[i])
	}
}

func proximityKinds() []dht.Kind {
	return []dht.Kind{
		{Code: codeSample, Name: "chord_sample", New: func() dht.Message { return new(sample) }},
		{Code: codeSampled, Name: "chord_sampled", New: func() dht.Message { return new(sampled) }},
	}
}

// holds says whether p is a peer of the interval.
func (m *sample) holds(s dht.Space, p dht.Peer) bool {
	return !p.IsZero() && s.Sub(p.ID, m.From).Less(s.Sub(m.To, m.From))
}

// handleSample answers a sample, and says whether req is one.
func (n *Node) handleSample(req dht.Message, r dht.Reply) bool {
	m, ok := req.(*sample)
	if ok {
		r.Send(&sampled{Peers: n.known(m)}, nil)
	}
	return ok
}

// known draws peers of the interval from the successor list and the fingers.
func (n *Node) known(m *sample) []dht.Peer {
	var in []dht.Peer
	for _, list := range [][]dht.Peer{n.ring.Successors(), n.table} {
		for _, p := range list {
			if m.holds(n.cfg.space, p) {
				in = append(in, p)
			}
		}
	}
	rng := n.env.Rand()
	for i := range min(choices, len(in)) {
		j := i + rng.IntN(len(in)-i)
		in[i], in[j] = in[j], in[i]
	}
	return in[:min(choices, len(in))]
}

// nearest chooses finger i by round trips: any node of the octave [2^i, 2^(i+1)) serves
// nearly as well as the first. It asks the present finger, or else the last peer known
// before the end of the octave, for some peers there; these are asked in turn, which
// tells how far they are. So each refresh compares the present finger with a few nodes
// drawn anew. Where nobody turns up, an ordinary lookup decides.
func (n *Node) nearest(ctx context.Context, i int) (dht.Peer, error) {
	s, self := n.cfg.space, n.env.Self().ID
	m := &sample{From: start(s, self, i), To: start(s, self, i+1)}
	var best candidate
	more := best.race(ctx, n, m, n.guides(m))
	best.race(ctx, n, m, more)
	if !best.IsZero() {
		return best.Peer, nil
	}
	first, err := n.first(ctx, i)
	if p, ok := n.table.finger(s, self, i); ok && err == nil && octave(s, self, p.ID) == octave(s, self, first.ID) {
		return p, nil // the octave is empty, and the next one has its finger
	}
	return first, err
}

// guides is who to ask first: the present finger in the interval of m, or else the last
// peer known before the interval's end.
func (n *Node) guides(m *sample) []dht.Peer {
	if i := slices.IndexFunc(n.table, func(p dht.Peer) bool { return m.holds(n.cfg.space, p) }); i >= 0 {
		return n.table[i : i+1]
	}
	for _, step := range n.preceding(n.cfg.space.Sub(m.To, dht.NewID(0, 1)), 1) {
		return []dht.Peer{step.Peer}
	}
	return nil
}

// candidate is the nearest node found so far.
type candidate struct {
	dht.Peer
	rtt time.Duration
}

// race asks peers, all at once, and keeps the nearest of them that is in m's interval. It
// returns others of the interval that they know.
func (c *candidate) race(ctx context.Context, n *Node, m *sample, peers []dht.Peer) (more []dht.Peer) {
	calls := n.env.Calls()
	defer calls.Close()
	for _, p := range peers {
		calls.Start(p, m)
	}
	for calls.Pending() > 0 {
		res, err := calls.Next(ctx)
		if err != nil {
			return nil
		}
		reply, err := n.sampledBy(m, res)
		if err != nil {
			n.env.Log().Debug("sample failed", "peer", res.To, "err", err)
			n.ring.Suspect(res.To, n.table...)
			continue
		}
		if m.holds(n.cfg.space, res.From) {
			c.consider(res.From, res.RTT)
		}
		more = append(more, reply.Peers...)
	}
	return slices.DeleteFunc(more, func(p dht.Peer) bool { return p.Same(n.env.Self()) || p.Same(c.Peer) })
}

// sampledBy checks an answer to m.
func (n *Node) sampledBy(m *sample, res dht.Result) (*sampled, error) {
	if res.Err != nil {
		return nil, res.Err
	}
	reply, err := dht.As[*sampled](res.Msg)
	if err != nil {
		return nil, err
	}
	bad := func(p dht.Peer) bool { return !m.holds(n.cfg.space, p) }
	if len(reply.Peers) > choices || slices.ContainsFunc(reply.Peers, bad) {
		return nil, fmt.Errorf("chord: sample of %d peers, some perhaps elsewhere: %w", len(reply.Peers), dht.ErrMalformed)
	}
	return reply, nil
}

// consider takes p if it is nearer by an eighth: less is not worth a change.
func (c *candidate) consider(p dht.Peer, rtt time.Duration) {
	if c.IsZero() || rtt < c.rtt-c.rtt/8 {
		c.Peer, c.rtt = p, rtt
	}
}
