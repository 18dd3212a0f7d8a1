package dht

import (
	"context"
	"errors"
	"strings"
)

// Error is an error whose code crosses the wire, so that errors.Is works on what
// an RPC returns. Codes below 64 belong to this package; each service takes a
// range of its own and says which.
type Error struct {
	Code uint16 // identifies the kind; never 0
	Text string // for people; what crosses the wire is cut to 256 bytes
}

// Error returns the text.
func (e *Error) Error() string { return e.Text }

// Is compares codes, so that a decoded error matches the sentinel it came from.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// The ways in which a call or a lookup fails, each with one thing to do about it.
var (
	// ErrTimeout: no answer in time; it may have been carried out. Try another peer.
	ErrTimeout = &Error{1, "no answer in time"}
	// ErrUnreachable: no connection; it was not carried out. Try another peer.
	ErrUnreachable = &Error{2, "peer is unreachable"}
	// ErrRejected: the peer refused on purpose. Do not repeat the call unchanged.
	ErrRejected = &Error{3, "refused by the peer"}
	// ErrMalformed: a message breaks the rules of its kind. A bug or an attack.
	ErrMalformed = &Error{4, "malformed message"}
	// ErrNoRoute: no live peer leads nearer to the key. Wait for repair, then retry.
	ErrNoRoute = &Error{5, "no route to the key"}
	// ErrClosed: this node is shutting down. Stop.
	ErrClosed = &Error{6, "node is closed"}
	// ErrBusy: a bounded queue is full; it was not carried out. Back off, then retry.
	ErrBusy = &Error{7, "too many requests in flight"}
	// ErrUnknownMessage: the peer does not know this message type. Do not repeat it.
	ErrUnknownMessage = &Error{8, "unknown message type"}
	// ErrInternal: the peer failed for a reason that has no code. Try another peer.
	ErrInternal = &Error{9, "internal error at the peer"}
	// ErrGaveUp: the peer is alive but gave up on others, or is closing. Whether the
	// request was carried out is not known.
	ErrGaveUp = &Error{10, "the peer gave up"}
	// ErrTaken: another node has this one's identifier. Choose another one: trying
	// again does not help.
	ErrTaken = &Error{11, "the identifier is taken"}
)

// AsError returns the coded error that stands for err on the wire: the code of the
// *Error in its chain, or ErrInternal's where there is none, with err's text.
//
// ErrTimeout, ErrUnreachable, ErrClosed and the errors of contexts say something of
// the node that made them. Relayed, they would be taken for a statement about the
// node that relays them, so they become ErrGaveUp: only the local Env makes them.
func AsError(err error) *Error {
	code := ErrInternal.Code
	var coded *Error
	if errors.As(err, &coded) {
		code = coded.Code
	}
	for _, local := range []error{ErrTimeout, ErrUnreachable, ErrClosed, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, local) {
			code = ErrGaveUp.Code
		}
	}
	text := err.Error()
	return &Error{code, strings.ToValidUTF8(text[:min(len(text), 256)], "")}
}
