package kv

import (
	"time"

	"dyschord/dht"
	"dyschord/kv/store"
)

// slot is one replicated part of the space at one node. Its state and log are what
// was applied to the store, durable or not: whatever promises something to another
// node waits for the disk first.
type slot struct {
	state
	id     uint32
	last   uint64 // the end of the log (while Dirty: Base)
	synced uint64 // the part of it known to be on the disk
	cuts   uint32 // times the log was shortened: numbers before and after differ
	ready  bool   // Cfg is on the disk, or was read from it

	tail     []store.Record // what the log has above tailFrom, oldest first; members keep no values
	tailFrom uint64         // never below Com
	held     *int           // the node's count of the bytes in all tails
	window   window         // requests that the log's records came from

	lead *lead // not nil while this node serves the slot as its primary

	corrupt  bool   // a record cannot be read: the slot is neither served nor copied from here
	promised uint64 // times that a copy was reported to a proposer, who may count on it

	copying bool // the log belongs to a copy in progress
	mending bool // an activity looks after the slot
	upkeep  upkeep
}

// lead is what a primary keeps while it serves an epoch. It is lost with the
// process: a primary that restarts never serves its old epoch again.
type lead struct {
	epoch   uint64
	members []progress // by place in the configuration
	waiters []waiter   // writes without an answer
}

// progress is how far a member has come.
type progress struct {
	known  bool   // it has said where its log ends
	acked  uint64 // on its disk
	sent   uint64 // sent to it, perhaps lost
	com    uint64 // how far its index was when it last answered
	queued bool   // in the queue of records for that peer
	stuck  bool   // refused or lost something: the next scan tries again
	full   bool   // its disk had no room for what it was sent last
}

// waiter is a client that waits for the end of its write.
type waiter struct {
	seq     uint64
	existed bool
	since   time.Time
	done    func(*response, error)
}

// upkeep is when and why the slot wants to be looked after.
type upkeep struct {
	frozenAt time.Time // since when it is not active, though a member
	patience time.Duration
	cause    cause     // why this node would propose
	causeAt  time.Time // since when
	notYet   time.Time // no new attempt before
	attempts int
	outvoted uint64     // the highest ballot number that stood against one of this node's
	want     []dht.Peer // the nodes that the overlay names
	wantAt   time.Time  // since when it names them
	named    []dht.Peer // the answer of the last lookup
	namedAt  time.Time
	looking  bool
	told     []dht.Peer // whom the overlay names and who was told where the slot is
	toldAt   time.Time
	copiedAt time.Time // when a copy was received
	sweepAt  time.Time // next time to ask whether data of an old epoch can go
}

// installed says whether this node is a member in epoch e, frozen or not, with a
// copy that can be relied on.
func (n *Node) installed(s *slot, e uint64) bool {
	return e > 0 && s.Cfg.Epoch == e && s.Tag == e && s.ready && !s.Dirty && s.Cfg.has(n.self())
}

// active says whether this node is a member in epoch e and knows of nothing that
// would end it.
func (n *Node) active(s *slot, e uint64) bool {
	return n.installed(s, e) && s.Prom.isZero() && s.Acc == nil && s.Next == nil
}

// holds says whether the log has all of the sequence of epoch e up to version c.
func (s *slot) holds(e, c uint64) bool {
	return !s.Dirty && (s.Tag == e && s.last >= c || s.Tag == e+1)
}

// serving says whether this node may number writes and answer reads.
func (n *Node) serving(s *slot) bool {
	return s.lead != nil && s.lead.epoch == s.Cfg.Epoch && !s.corrupt && n.active(s, s.Cfg.Epoch)
}

// newest is the latest decided configuration known, or nil. It is not changed by
// later ones: messages may hold it.
func (s *slot) newest() *configuration {
	if s.Next != nil {
		return s.Next
	}
	if s.Cfg.Epoch > 0 {
		c := s.Cfg
		return &c
	}
	return nil
}

// configurations are all that the state names.
func (s *state) configurations() []*configuration {
	all := []*configuration{&s.Cfg}
	if s.Next != nil {
		all = append(all, s.Next)
	}
	if s.Acc != nil {
		all = append(all, &s.Acc.Value)
	}
	return all
}

// extend takes a record that was appended to the log into the tail.
func (s *slot) extend(rec store.Record) {
	s.weigh(recordBytes(&rec))
	s.tail = append(s.tail, rec)
	s.window.add(rec.Seq, rec.Request, s.Com)
	s.last = rec.Seq
	const most = 1024 // a member finds the rest in its log
	if s.lead == nil && len(s.tail) > most {
		s.forget(1)
	}
}

// forget takes the first k records off the tail.
func (s *slot) forget(k int) {
	for i := range s.tail[:k] {
		s.tailFrom = s.tail[i].Seq
		s.weigh(-recordBytes(&s.tail[i]))
		s.tail[i] = store.Record{}
	}
	s.tail = s.tail[k:]
}

// forgetValues keeps of the tail what the index needs: a node that does not serve
// sends nothing.
func (s *slot) forgetValues() {
	tail := make([]store.Record, len(s.tail))
	for i, rec := range s.tail {
		s.weigh(-len(rec.Value))
		rec.Value = nil
		tail[i] = rec
	}
	s.tail = tail
}

// weigh adds to the count of the bytes that tails hold in memory.
func (s *slot) weigh(bytes int) {
	if s.held != nil {
		*s.held += bytes
	}
}

func recordBytes(r *store.Record) int {
	return len(r.Key) + len(r.Value) + len(r.Type) + len(r.Request) + recordOverhead
}

// jump takes over a log that was changed behind the tail and ends at last.
func (s *slot) jump(last uint64) {
	s.cuts++
	s.forget(len(s.tail))
	s.last, s.tail, s.tailFrom = last, nil, last
}

// onDisk notes that the log is on the disk up to seq, if it has not been shortened
// since cuts was read.
func (s *slot) onDisk(cuts uint32, seq uint64) {
	if s.cuts == cuts {
		s.synced = max(s.synced, seq)
	}
}

// shorten adjusts what is kept in memory after the log was cut at seq.
func (s *slot) shorten(seq uint64) {
	if s.last <= seq {
		return
	}
	s.cuts++
	s.last, s.synced = seq, min(s.synced, seq)
	s.tailFrom = min(s.tailFrom, seq)
	for len(s.tail) > 0 && s.tail[len(s.tail)-1].Seq > seq {
		s.weigh(-recordBytes(&s.tail[len(s.tail)-1]))
		s.tail = s.tail[:len(s.tail)-1]
	}
	s.window.shorten(seq)
}

// pending returns the latest uncommitted record of key, or nil.
func (s *slot) pending(key []byte) *store.Record {
	for i := len(s.tail) - 1; i >= 0 && s.tail[i].Seq > s.Com; i-- {
		if string(s.tail[i].Key) == string(key) {
			return &s.tail[i]
		}
	}
	return nil
}
