package dht

import (
	"context"
	"iter"
	"log/slog"
	"math/rand/v2"
	"time"
)

// Peer names a node: where it stands on the ring, and this process's handle for
// its identity and addresses. It holds no pointers, so that the tables of a
// million nodes cost the garbage collector nothing.
//
// The zero Peer is "nobody". Two Peers are the same node if their Refs are equal
// ([Peer.Same]). Refs are handed out in the order of acquaintance, which differs
// from node to node: order peers by ID.
type Peer struct {
	// ID is computed from the node's authenticated identity by whoever interns
	// the peer. It is never believed from the wire, and so never sent.
	ID ID `cbor:"-"`
	// Ref is the Env's handle for the node's identity and addresses. It means nothing
	// elsewhere; the wire translates it ([Message.EachPeer]). A Ref is never reused,
	// and an identity keeps its Ref while any service of the node holds it
	// ([Service].Peers) and for ten minutes after its last use. 0 is nobody.
	Ref uint32 `cbor:"1,keyasint"`
	// Inc is the incarnation: it grows at every restart of the node. 0 is not known
	// (a contact read from a disk or typed by a person).
	Inc uint32 `cbor:"2,keyasint,omitempty"`
}

// Same says whether p and q are the same node, whatever the incarnation.
func (p Peer) Same(q Peer) bool { return p.Ref == q.Ref }

// IsZero says whether p is nobody.
func (p Peer) IsZero() bool { return p.Ref == 0 }

// String writes the identifier, for logs and errors.
func (p Peer) String() string {
	if p.IsZero() {
		return "nobody"
	}
	return p.ID.String()
}

// LogValue writes a peer as its identifier into logs of any form.
func (p Peer) LogValue() slog.Value { return slog.StringValue(p.String()) }

// Env is everything a protocol may ask of the world. Protocol code (overlays, the
// replicated part of kv) is plain blocking code against it; it runs unchanged on
// libp2p and in the simulator.
//
// One activity of a node runs at a time. An activity holds the node until it makes
// a blocking call: Sleep, Block, Signal.Wait and Calls.Next. State of the node may
// change across any of these, and only across these: read it again afterwards.
// Every method must be called from an activity of the node (Handle, or a function
// given to Go, Every or the host's Do), but for Log and Emit.
//
// When the node shuts down, every blocking call returns ErrClosed, whatever its own
// context says; new ones do so at once.
type Env interface {
	Clock
	Tasks
	Contacts

	// Calls opens an empty set of requests. Close it.
	Calls() Calls
	// Rand is this node's own source, seeded per (seed, node).
	Rand() *rand.Rand
	// Log writes to the node's log.
	Log() *slog.Logger
	// Emit reports what happened, to whoever counts. Nothing comes back.
	Emit(Event)
}

// Clock is time as the node sees it: virtual in the simulator.
type Clock interface {
	// Now is for measuring and for deadlines; no safety may rest on it.
	Now() time.Time
	// Sleep returns early with ctx's error when ctx ends.
	Sleep(ctx context.Context, d time.Duration) error
	// WithTimeout is context.WithTimeout on this clock. Use it in place of package
	// context's own, which fires by the wall clock or never.
	WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc)
}

// Tasks starts and joins the activities of a node.
type Tasks interface {
	// Go starts an activity. f begins after the caller next blocks or returns; what
	// one activity starts begins in that order. Its context ends when the node shuts
	// down, which waits for it. name appears in traces and stack dumps: a constant.
	Go(name string, f func(context.Context))
	// Every runs f again and again, d ± jitter after the end of the run before, so it
	// never overlaps itself. It holds no stack between runs: the only form for
	// periodic work. The first run comes after a random part of d, so that nodes
	// started together spread out. stop ends it: no run begins afterwards. It may be
	// called more than once, and by f.
	Every(name string, d, jitter time.Duration, f func(context.Context)) (stop func())
	// Signal makes a condition to wait on for a change of the node's own state.
	Signal() Signal
	// Block runs f, which waits for a disk, while other activities go on. f touches
	// no node state. Its error is returned; the context's if f was not begun. A
	// simulated node waits for the disk first and runs f at the end of that time, so
	// that a crash in between finds f not done.
	Block(ctx context.Context, f func() error) error
}

// Contacts keeps what is needed to reach a peer: its identity and addresses.
type Contacts interface {
	// Self is this node, with its present incarnation.
	Self() Peer
	// Record returns a contact for p that survives restarts, at most MaxContact
	// bytes. It is nil for a peer that is not known (any more).
	Record(p Peer) []byte
	// Intern reads such a contact. The Peer's incarnation is 0.
	Intern(record []byte) (Peer, error)
}

// Signal lets activities wait for a change of the node's own state. Because one
// activity runs at a time, a condition tested right before Wait cannot be missed:
//
//	for !ready { if err := sig.Wait(ctx); err != nil { return err } }
type Signal interface {
	// Wait blocks until the next Notify; it returns ctx's error when ctx ends first.
	Wait(ctx context.Context) error
	// Notify wakes all that wait now. It does not block.
	Notify()
}

// Calls is a set of requests in flight. Any activity of the node may start
// requests in it; one at a time may wait in Next.
//
// Over one connection, the requests of a sender enter the receiver's handler in the
// order in which they were started: those of kinds that carry values (Kind.Data)
// among each other, large ones included, and all others among each other. The others
// may pass them, so that upkeep does not wait behind values. Across the loss of a
// connection nothing holds: a request may be lost, or carried out and its reply lost.
type Calls interface {
	// Start sends req to the node that to names: to that identity, in whatever
	// incarnation it is now. It never blocks: what cannot be sent ends at once, with
	// ErrBusy (the send buffer is full) or ErrUnreachable (to is nobody, or not known
	// any more). A request to oneself goes through Handle like any other, after the
	// caller has blocked or returned. req must not be changed any more.
	Start(to Peer, req Message)
	// Next blocks until one of the requests ends and returns how; one that has ended
	// is returned even if ctx has too. The error is ctx's when ctx ends first: the
	// requests stay pending. Calling it with nothing pending panics.
	Next(ctx context.Context) (Result, error)
	// Pending counts the requests whose results Next has not returned.
	Pending() int
	// Close gives up the results that are pending. It recalls nothing: requests that
	// were started are sent and carried out all the same.
	Close()
}

// Result is how one request ended: with Msg or with Err.
type Result struct {
	To   Peer // as given to Start
	From Peer // who answered: To's identity in its present incarnation; zero with Err from here
	Req  Message
	Msg  Message
	RTT  time.Duration // from Start to the end, a timeout's included
	Err  error
}

// Message is a request or a reply: a pointer to a plain struct with exported
// fields and integer CBOR keys (`cbor:"1,keyasint"`). It is immutable once it was
// given to Start or Send, and whoever receives it must not change it either.
type Message interface {
	// Code identifies the message on the wire. Ranges: lookup 16-31, ring 32-47,
	// chord 48-63, kademlia 64-79, koorde 80-95, other overlays 96-255, kv 256-511.
	Code() uint16
	// EachPeer visits every Peer field, so that the wire can translate Refs. On a
	// message that was sent, f only reads.
	EachPeer(f func(*Peer))
}

// Waits says what a handler does before it replies. It chooses the policy for
// time-outs: answers that never wait teach the round-trip estimate.
type Waits uint8

const (
	// Never means that it answers inline, from memory.
	Never Waits = iota
	// Disk means that a commit to disk stands between request and reply.
	Disk
	// Network means that calls to other nodes stand between request and reply. Such a
	// request ends by its reply, by Close, when the connection is lost, or at the
	// Env's ceiling (a minute by default).
	Network
)

// Kind describes a message type to the wire. Reply types are kinds too; their
// Waits has no meaning.
type Kind struct {
	Code  uint16
	Name  string // snake_case, for metrics, logs and traces
	New   func() Message
	Waits Waits
	Data  bool // carries values: as long as the value limit allows, not 64 KiB at most
}

// Service is a part of a node that answers requests. The overlay and kv are
// services of one Env.
type Service interface {
	// Kinds lists every message type of the service, requests and replies.
	Kinds() []Kind
	// Handle is entered in arrival order per sender. It must not block: reply now,
	// or keep r and reply from an activity. from is authenticated.
	Handle(from Peer, req Message, r Reply)
	// Peers visits every peer the service holds, some perhaps twice. Contacts of
	// peers that no service holds may be forgotten.
	Peers() iter.Seq[Peer]
}

// Reply answers one request.
type Reply interface {
	// Send is called exactly once, from any activity of the node. With err not nil,
	// m is ignored and err travels as AsError makes it. The host bounds the replies
	// that one peer may be owed and answers ErrBusy beyond it, before Handle.
	Send(m Message, err error)
}

// Call sends one request and waits for its reply.
func Call(ctx context.Context, env Env, to Peer, req Message) (Message, error) {
	calls := env.Calls()
	defer calls.Close()
	calls.Start(to, req)
	res, err := calls.Next(ctx)
	if err != nil {
		return nil, err
	}
	return res.Msg, res.Err
}

// Ask is [Call] for a caller that expects a reply of type R; any other reply is
// ErrMalformed.
func Ask[R Message](ctx context.Context, env Env, to Peer, req Message) (R, error) {
	msg, err := Call(ctx, env, to, req)
	if err != nil {
		var none R
		return none, err
	}
	return As[R](msg)
}

// As asserts the type of a reply that came from the wire.
func As[R Message](msg Message) (R, error) {
	if reply, ok := msg.(R); ok {
		return reply, nil
	}
	var none R
	return none, ErrMalformed
}
