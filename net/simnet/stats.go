package simnet

// Stats counts what has happened since the start.
type Stats struct {
	Bytes      uint64 // of all messages sent; see Config.Bytes
	Events     uint64 // events run: arrivals, timers, time-outs, callbacks
	Requests   uint64
	Replies    uint64
	Timeouts   uint64
	Late       uint64 // replies that arrived after the time-out
	Unanswered uint64 // requests that arrived where nobody ran
	Busy       uint64 // requests that ended with ErrBusy
	Lost       uint64 // messages lost, by Faults.Loss
	Blocked    uint64 // messages stopped by SetLink or Partition
	Clogged    uint64 // messages held back by Clog
	Cuts       uint64 // connections lost, by Faults.Cut or Net.Cut
	Delayed    uint64 // activities that ran on late, by Faults.Late
	Duplicated uint64
	Reordered  uint64
	Kinds      []KindStats // by code; the first, with code 0, is the replies that were errors
}

// KindStats is the traffic of one message type. Calls of a node to itself are not
// traffic.
type KindStats struct {
	Code        uint16
	Name        string
	Sent        uint64
	Delivered   uint64 // requests that entered a handler, repeated and local ones included
	Timeouts    uint64 // requests given up
	Bytes       uint64 // of the frames sent; see Config.Bytes
	Identifiers uint64 // carried by what was sent; see Config.Identifiers
}

func (k *kind) stats() KindStats {
	return KindStats{k.Code, k.Name, k.sent, k.delivered, k.timeouts, k.bytes(), k.identifiers}
}

// Stats returns the counters.
func (n *Net) Stats() Stats {
	s := n.stats
	s.Events = n.events
	s.Kinds = append(s.Kinds, n.failures.stats())
	for _, k := range n.kinds {
		if k != nil {
			s.Kinds = append(s.Kinds, k.stats())
			s.Timeouts += k.timeouts
		}
	}
	for _, k := range s.Kinds {
		s.Bytes += k.Bytes
	}
	return s
}
