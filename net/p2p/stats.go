package p2p

import (
	"sync/atomic"
	"time"

	"dyschord/dht"
)

// RPCDone is the event at the end of every request, at the node that asked.
type RPCDone struct {
	Message string // the request's name, as its dht.Kind gives it
	Code    uint16 // of the dht.Error it ended with; 0 for a reply
	Took    time.Duration
}

// Stats counts what a host has done since it was made.
type Stats struct {
	Dials, DialFailures           uint64 // attempts to open a stream
	Accepted                      uint64 // streams that others opened and that were welcome
	Refused                       uint64 // handshakes that ended in a refusal, on either side
	Malformed                     uint64 // streams closed because the peer broke the format
	Stalled                       uint64 // streams given up because the peer was silent
	Timeouts, Busy                uint64 // requests that ended so
	Writes                        uint64 // to streams, each a record and a system call
	FramesSent, FramesReceived    uint64
	BytesSent, BytesReceived      uint64 // of frames, without encryption
	Contacts, Streams, Activities int    // now
}

type counters struct {
	Dials, DialFailures, Accepted, Refused, Malformed, Stalled, Timeouts, Busy atomic.Uint64

	Writes, FramesSent, FramesReceived, BytesSent, BytesReceived atomic.Uint64
}

// Stats returns the counts so far. It may be called at any time.
func (h *Host) Stats() Stats {
	c := &h.counters
	s := Stats{
		Dials: c.Dials.Load(), DialFailures: c.DialFailures.Load(),
		Accepted: c.Accepted.Load(), Refused: c.Refused.Load(),
		Malformed: c.Malformed.Load(), Stalled: c.Stalled.Load(),
		Timeouts: c.Timeouts.Load(), Busy: c.Busy.Load(),
		Writes: c.Writes.Load(), FramesSent: c.FramesSent.Load(), FramesReceived: c.FramesReceived.Load(),
		BytesSent: c.BytesSent.Load(), BytesReceived: c.BytesReceived.Load(),
		Contacts:   h.book.size(),
		Activities: h.activities.running(),
	}
	for _, l := range h.links() {
		s.Streams += l.streams()
	}
	return s
}

// emit reports an event, if anybody listens.
func (h *Host) emit(e dht.Event) {
	if h.cfg.OnEvent != nil {
		h.cfg.OnEvent(e)
	}
}
