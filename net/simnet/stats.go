package simnet

import "dyschord/dht"

// Stats counts what has happened since the start.
type Stats struct {
	Events     uint64 // events run: arrivals, timers, time-outs, callbacks
	Requests   uint64
	Replies    uint64
	Timeouts   uint64
	Late       uint64 // replies that arrived after the time-out
	Unanswered uint64 // requests that arrived where nobody ran
	Busy       uint64 // requests refused by the sender's own bound
	Lost       uint64 // messages lost, by Faults.Loss
	Blocked    uint64 // messages stopped by SetLink or Partition
	Clogged    uint64 // messages held back by Clog
	Duplicated uint64
	Reordered  uint64
	Kinds      []KindStats // by code
}

// KindStats is the traffic of one message type. Calls of a node to itself are not
// traffic.
type KindStats struct {
	Code      uint16
	Name      string
	Sent      uint64
	Delivered uint64 // requests that entered a handler, repeated and local ones included
	Timeouts  uint64 // requests given up
	Bytes     uint64 // of the frames sent
}

// Stats returns the counters.
func (n *Net) Stats() Stats {
	s := n.stats
	s.Events = n.events
	for _, k := range n.kinds {
		if k != nil {
			s.Kinds = append(s.Kinds, KindStats{k.Code, k.Name, k.sent, k.delivered, k.timeouts, k.bytes})
			s.Timeouts += k.timeouts
		}
	}
	return s
}

// count is called for each request sent.
func (n *Net) count(code uint16, m dht.Message, _ *env) {
	n.stats.Requests++
	n.kindOf(code).sent++
}

// countReply is called for each reply sent.
func (n *Net) countReply(r *rpc) {
	n.stats.Replies++
	if r.msg != nil {
		n.kindOf(r.msg.Code()).sent++
	}
}

// pass takes a message over the network.
func (n *Net) pass(m dht.Message) dht.Message { return m }
