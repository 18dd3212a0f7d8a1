package kv

import (
	"fmt"

	"dyschord/dht"
	"dyschord/kv/store"
)

// Codes of the messages.
const (
	codeRequest uint16 = 256 + iota
	codeResponse
	codeAsk
	codeTell
	codeAppend
	codeAppended
	codeConfirm
	codeConfirmed
	codePrepare
	codePromise
	codeStage
	codeStaged
	codeFetch
	codePage
	codeAccept
	codeAccepted
	codeStatus
	codeStatusReply
)

// Bounds on what one message holds.
const (
	pageBytes   = 256 << 10 // of records; one larger record goes alone
	maxRecords  = 4096
	maxSlotRows = 256

	recordOverhead = 48 // bytes of a record's numbers and lengths, at most
	runOverhead    = 48
)

// Kinds lists the message types.
func (n *Node) Kinds() []dht.Kind {
	return []dht.Kind{
		{Code: codeRequest, Name: "kv_request", New: func() dht.Message { return new(request) }, Waits: dht.Network, Data: true},
		{Code: codeResponse, Name: "kv_response", New: func() dht.Message { return new(response) }, Data: true},
		{Code: codeAsk, Name: "kv_ask", New: func() dht.Message { return new(ask) }},
		{Code: codeTell, Name: "kv_tell", New: func() dht.Message { return new(tell) }},
		{Code: codeAppend, Name: "kv_append", New: func() dht.Message { return new(appendRequest) }, Waits: dht.Disk, Data: true},
		{Code: codeAppended, Name: "kv_appended", New: func() dht.Message { return new(appended) }, Data: true},
		{Code: codeConfirm, Name: "kv_confirm", New: func() dht.Message { return new(confirm) }},
		{Code: codeConfirmed, Name: "kv_confirmed", New: func() dht.Message { return new(confirmed) }},
		{Code: codePrepare, Name: "kv_prepare", New: func() dht.Message { return new(prepare) }, Waits: dht.Disk},
		{Code: codePromise, Name: "kv_promise", New: func() dht.Message { return new(promise) }},
		{Code: codeStage, Name: "kv_stage", New: func() dht.Message { return new(stage) }, Waits: dht.Network},
		{Code: codeStaged, Name: "kv_staged", New: func() dht.Message { return new(staged) }},
		{Code: codeFetch, Name: "kv_fetch", New: func() dht.Message { return new(fetch) }, Waits: dht.Disk},
		{Code: codePage, Name: "kv_page", New: func() dht.Message { return new(page) }, Data: true},
		{Code: codeAccept, Name: "kv_accept", New: func() dht.Message { return new(accept) }, Waits: dht.Disk},
		{Code: codeAccepted, Name: "kv_accepted", New: func() dht.Message { return new(accepted) }},
		{Code: codeStatus, Name: "kv_status", New: func() dht.Message { return new(statusRequest) }},
		{Code: codeStatusReply, Name: "kv_status_reply", New: func() dht.Message { return new(statusReply) }},
	}
}

// noPeers is the EachPeer of messages that name nobody.
type noPeers struct{}

func (noPeers) EachPeer(func(*dht.Peer)) {}

// known is the part of a reply that tells a node that is behind what was decided.
type known struct {
	Known *configuration `cbor:"15,keyasint,omitempty"`
}

func (k *known) eachPeer(f func(*dht.Peer)) {
	if k.Known != nil {
		k.Known.eachPeer(f)
	}
}

// opCode is what a client wants.
type opCode uint8

const (
	opGet opCode = 1 + iota
	opPut
	opDelete
)

// request is an operation on its way to the primary of its slot.
type request struct {
	Op     opCode `cbor:"1,keyasint"`
	Slot   uint32 `cbor:"2,keyasint"`
	Key    []byte `cbor:"3,keyasint"`
	Value  []byte `cbor:"4,keyasint,omitempty"`
	Type   string `cbor:"5,keyasint,omitempty"`
	ID     []byte `cbor:"6,keyasint,omitempty"` // of a write: the same in every attempt
	Stamp  uint64 `cbor:"7,keyasint,omitempty"` // a version that the slot had committed before the first attempt
	Active uint64 `cbor:"8,keyasint,omitempty"` // of a get: the epoch that the sender is an active member of
	noPeers
}

func (*request) Code() uint16 { return codeRequest }

// response answers a request that was carried out, or says where it belongs.
type response struct {
	Version  uint64 `cbor:"1,keyasint,omitempty"`
	Existed  bool   `cbor:"2,keyasint,omitempty"`
	Acks     uint8  `cbor:"3,keyasint,omitempty"`
	Replicas uint8  `cbor:"4,keyasint,omitempty"`
	Value    []byte `cbor:"5,keyasint,omitempty"`
	Type     string `cbor:"6,keyasint,omitempty"`
	Modified int64  `cbor:"7,keyasint,omitempty"`  // Unix time in nanoseconds
	Moved    bool   `cbor:"8,keyasint,omitempty"`  // not carried out: ask the primary of Known
	Stale    bool   `cbor:"9,keyasint,omitempty"`  // a write whose Stamp is too old to tell whether it was carried out
	Last     uint64 `cbor:"10,keyasint,omitempty"` // a version that the slot has committed
	known
}

func (*response) Code() uint16                 { return codeResponse }
func (m *response) EachPeer(f func(*dht.Peer)) { m.known.eachPeer(f) }

// row is a slot's latest decided configuration, as its sender knows it. Members
// are places in the message's list of peers.
type row struct {
	_         struct{} `cbor:",toarray"`
	Slot      uint32
	Epoch     uint64
	Members   []byte
	Primary   uint8
	Cut       uint64
	Installed uint64 // the epoch that the sender is an installed member of, or 0
	Last      uint64 // if Installed and not Frozen: the end of its log that is on its disk, an acknowledgement
	Frozen    bool   // if Installed: it takes part in a reconfiguration
}

// rows are configurations of many slots; members shared by slots are named once.
type rows struct {
	Peers []dht.Peer `cbor:"1,keyasint,omitempty"`
	Rows  []row      `cbor:"2,keyasint,omitempty"`
}

func (m *rows) EachPeer(f func(*dht.Peer)) {
	for i := range m.Peers {
		f(&m.Peers[i])
	}
}

// add appends a row for c, or says that the message is full.
func (m *rows) add(r row, c *configuration) bool {
	if len(m.Rows) >= maxSlotRows || len(m.Peers)+len(c.Members) > dht.MaxPeers {
		return false
	}
	r.Epoch, r.Primary, r.Cut = c.Epoch, c.Primary, c.Cut
	r.Members = make([]byte, len(c.Members))
	for i, p := range c.Members {
		r.Members[i] = m.place(p)
	}
	m.Rows = append(m.Rows, r)
	return true
}

func (m *rows) place(p dht.Peer) byte {
	for i, q := range m.Peers {
		if q.Same(p) {
			return byte(i)
		}
	}
	m.Peers = append(m.Peers, p)
	return byte(len(m.Peers) - 1)
}

// configuration reads the i-th row.
func (m *rows) configuration(i int) (configuration, error) {
	r := &m.Rows[i]
	c := configuration{Epoch: r.Epoch, Primary: r.Primary, Cut: r.Cut}
	for _, at := range r.Members {
		if int(at) >= len(m.Peers) {
			return c, fmt.Errorf("%w: slot %d names peer %d of %d", dht.ErrMalformed, r.Slot, at, len(m.Peers))
		}
		c.Members = append(c.Members, plain(m.Peers[at]))
	}
	return c, c.check()
}

// ask wants to know the latest configurations of some slots. The reply is a tell.
type ask struct {
	Slots []uint32 `cbor:"1,keyasint"`
	noPeers
}

func (*ask) Code() uint16 { return codeAsk }

// tell spreads decided configurations, and is the sign of life between nodes that
// share slots. Its reply is a tell with what the receiver knows better.
type tell struct {
	rows
	Leaving bool `cbor:"3,keyasint,omitempty"` // the sender is leaving the cluster
}

func (*tell) Code() uint16 { return codeTell }

// record is a log record on the wire.
type record struct {
	_        struct{} `cbor:",toarray"`
	Epoch    uint64
	Seq      uint64
	Key      []byte
	Value    []byte
	Type     string
	Deleted  bool
	Modified int64
	Request  []byte
}

func toWire(r *store.Record) record {
	return record{
		Epoch: r.Epoch, Seq: r.Seq, Key: r.Key, Value: r.Value, Type: r.Type,
		Deleted: r.Deleted, Modified: r.Modified.UnixNano(), Request: r.Request,
	}
}

func (r *record) toStore() store.Record {
	return store.Record{
		Epoch: r.Epoch, Seq: r.Seq, Key: r.Key, Value: r.Value, Type: r.Type,
		Deleted: r.Deleted, Modified: timeOf(r.Modified), Request: r.Request,
	}
}

func (r *record) size() int {
	return len(r.Key) + len(r.Value) + len(r.Type) + len(r.Request) + recordOverhead
}

// run is a part of one slot's sequence: every record in (Prev, end] that was not
// superseded by a committed one. Without records it only carries Com.
type run struct {
	_       struct{} `cbor:",toarray"`
	Slot    uint32
	Epoch   uint64
	Prev    uint64
	Com     uint64
	Records []record
}

// end is the last version of the run.
func (r *run) end() uint64 {
	if len(r.Records) == 0 {
		return r.Prev
	}
	return r.Records[len(r.Records)-1].Seq
}

// check refuses records out of order, or whose sizes no primary would accept.
func (r *run) check(cfg *Config) error {
	return checkRecords(r.Records, r.Prev, cfg)
}

func checkRecords(records []record, prev uint64, cfg *Config) error {
	if len(records) > maxRecords {
		return fmt.Errorf("%w: %d records", dht.ErrMalformed, len(records))
	}
	for i := range records {
		rec := &records[i]
		if rec.Seq <= prev || len(rec.Key) == 0 || len(rec.Key) > MaxKey || len(rec.Value) > cfg.MaxValue {
			return fmt.Errorf("%w: record %d after %d", dht.ErrMalformed, rec.Seq, prev)
		}
		prev = rec.Seq
	}
	return nil
}

// appendRequest carries numbered writes from a primary to a member.
type appendRequest struct {
	Runs []run `cbor:"1,keyasint"`
	noPeers
}

func (*appendRequest) Code() uint16 { return codeAppend }

// outcome is a member's answer to a run.
type outcome uint8

const (
	ackRun    outcome = 1 + iota // Last is on the member's disk: an acknowledgement
	gapRun                       // the run begins after Last
	refuseRun                    // not active in the epoch
	fullRun                      // no room on the member's disk
)

type ack struct {
	_       struct{} `cbor:",toarray"`
	Slot    uint32
	Epoch   uint64
	Last    uint64
	Com     uint64 // how far the member's index is
	Outcome outcome
}

type appended struct {
	Acks []ack `cbor:"1,keyasint"`
	noPeers
}

func (*appended) Code() uint16 { return codeAppended }

// slotEpoch names an epoch of a slot.
type slotEpoch struct {
	_     struct{} `cbor:",toarray"`
	Slot  uint32
	Epoch uint64
}

// confirm asks whether its epochs are still in force.
type confirm struct {
	Slots []slotEpoch `cbor:"1,keyasint"`
	noPeers
}

func (*confirm) Code() uint16 { return codeConfirm }

// confirmed has one byte for each slot asked about: 1 if the sender is active in it.
type confirmed struct {
	OK []byte `cbor:"1,keyasint"`
	noPeers
}

func (*confirmed) Code() uint16 { return codeConfirmed }

// prepare asks a member to freeze and to promise.
type prepare struct {
	Slot   uint32 `cbor:"1,keyasint"`
	Epoch  uint64 `cbor:"2,keyasint"`
	Ballot ballot `cbor:"3,keyasint"`
	noPeers
}

func (*prepare) Code() uint16 { return codePrepare }

type promise struct {
	OK   bool   `cbor:"1,keyasint,omitempty"`
	Last uint64 `cbor:"2,keyasint,omitempty"` // the end of the sender's log, on its disk
	Acc  *vote  `cbor:"3,keyasint,omitempty"`
	Prom ballot `cbor:"4,keyasint"` // of a refusal: what stands against it
	known
}

func (*promise) Code() uint16 { return codePromise }
func (m *promise) EachPeer(f func(*dht.Peer)) {
	if m.Acc != nil {
		m.Acc.Value.eachPeer(f)
	}
	m.known.eachPeer(f)
}

// stage asks a node to bring its copy to version Need of Base's sequence.
type stage struct {
	Slot    uint32        `cbor:"1,keyasint"`
	Base    configuration `cbor:"2,keyasint"`
	Need    uint64        `cbor:"3,keyasint"`
	Sources []dht.Peer    `cbor:"4,keyasint"`
}

func (*stage) Code() uint16 { return codeStage }
func (m *stage) EachPeer(f func(*dht.Peer)) {
	m.Base.eachPeer(f)
	for i := range m.Sources {
		f(&m.Sources[i])
	}
}

type staged struct {
	OK bool `cbor:"1,keyasint,omitempty"`
	known
}

func (*staged) Code() uint16                 { return codeStaged }
func (m *staged) EachPeer(f func(*dht.Peer)) { m.known.eachPeer(f) }

// fetch asks for the next page of a copy: the first one with Session 0.
type fetch struct {
	Slot    uint32 `cbor:"1,keyasint"`
	Session uint64 `cbor:"2,keyasint,omitempty"`
	After   uint64 `cbor:"3,keyasint,omitempty"`
	Epoch   uint64 `cbor:"4,keyasint"`           // whose sequence is wanted
	Need    uint64 `cbor:"5,keyasint,omitempty"` // at least up to here
	Newer   bool   `cbor:"6,keyasint,omitempty"` // the sequence of Epoch+1 will do
	noPeers
}

func (*fetch) Code() uint16 { return codeFetch }

// page is a part of a copy that is made from one snapshot.
type page struct {
	Session uint64   `cbor:"1,keyasint,omitempty"` // 0: refused
	Epoch   uint64   `cbor:"2,keyasint,omitempty"` // whose sequence this is
	To      uint64   `cbor:"3,keyasint,omitempty"` // where the copy ends
	Com     uint64   `cbor:"4,keyasint,omitempty"` // committed up to here
	Records []record `cbor:"5,keyasint,omitempty"`
	Done    bool     `cbor:"6,keyasint,omitempty"`
	known
}

func (*page) Code() uint16                 { return codePage }
func (m *page) EachPeer(f func(*dht.Peer)) { m.known.eachPeer(f) }

// accept asks a member to accept the end of an epoch.
type accept struct {
	Slot   uint32        `cbor:"1,keyasint"`
	Epoch  uint64        `cbor:"2,keyasint"`
	Ballot ballot        `cbor:"3,keyasint"`
	Value  configuration `cbor:"4,keyasint"`
}

func (*accept) Code() uint16                 { return codeAccept }
func (m *accept) EachPeer(f func(*dht.Peer)) { m.Value.eachPeer(f) }

type accepted struct {
	OK   bool   `cbor:"1,keyasint,omitempty"`
	Prom ballot `cbor:"2,keyasint"`
	known
}

func (*accepted) Code() uint16                 { return codeAccepted }
func (m *accepted) EachPeer(f func(*dht.Peer)) { m.known.eachPeer(f) }

// statusRequest asks a node for its view, slots from From on.
type statusRequest struct {
	From uint32 `cbor:"1,keyasint,omitempty"`
	noPeers
}

func (*statusRequest) Code() uint16 { return codeStatus }

type statusReply struct {
	rows
	Others  []dht.Peer `cbor:"3,keyasint,omitempty"` // other nodes that the sender knows
	Leaving bool       `cbor:"4,keyasint,omitempty"`
	More    bool       `cbor:"5,keyasint,omitempty"`
	From    uint32     `cbor:"6,keyasint,omitempty"` // with More: where to go on
}

func (*statusReply) Code() uint16 { return codeStatusReply }
func (m *statusReply) EachPeer(f func(*dht.Peer)) {
	m.rows.EachPeer(f)
	for i := range m.Others {
		f(&m.Others[i])
	}
}
