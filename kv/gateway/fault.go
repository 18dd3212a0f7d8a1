package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"dyschord/dht"
	"dyschord/kv"
)

// Outcomes of a write.
const (
	notApplied = "not_applied"
	unknown    = "unknown"
)

// fault is why a request is answered with an error. It is the error type of all
// handlers.
type fault struct {
	Status int
	Code   string // stable, for programs; its hyphenated form ends the problem type
	Title  string // the same for every fault of the code
	Detail string // what is wrong with this request, and what is allowed
	Retry  bool   // the same request may succeed later

	Outcome string // of a write of a value, and of nothing else
	Acks    *acks
	allow   string // methods, with status 405
	open    bool   // a write that ends like this may have been applied
}

type acks struct {
	Want int `json:"want"` // replicas there should be
	Got  int `json:"got"`  // replicas that acknowledged
}

// Error returns title and detail.
func (f *fault) Error() string { return f.Title + ": " + f.Detail }

func newFault(status int, code, title, format string, args ...any) *fault {
	return &fault{Status: status, Code: code, Title: title, Detail: fmt.Sprintf(format, args...)}
}

func badParameter(format string, args ...any) *fault {
	return newFault(http.StatusBadRequest, "bad_parameter", "bad parameter", format, args...)
}

func notImplemented(what string) *fault {
	return newFault(http.StatusNotImplemented, "not_implemented", "not implemented",
		"%s is not supported by this version; the request was not carried out", what)
}

// faults lists what an error of the node means to a client. The first that matches
// counts: an outcome that is not known goes before the reason for it.
func faults() []struct {
	err  error
	like fault
} {
	return []struct {
		err  error
		like fault
	}{
		{kv.ErrUnknown, fault{Status: 504, Code: "outcome_unknown", Title: "outcome unknown", open: true}},
		{kv.ErrNotFound, fault{Status: 404, Code: "key_not_found", Title: "key not found"}},
		{kv.ErrBadKey, fault{Status: 400, Code: "bad_key", Title: "bad key"}},
		{kv.ErrTooLarge, fault{Status: 413, Code: "value_too_large", Title: "value too large"}},
		{kv.ErrFull, fault{Status: 507, Code: "no_room", Title: "no room"}},
		{kv.ErrOverloaded, fault{Status: 429, Code: "too_many_requests", Title: "too many requests", Retry: true}},
		{dht.ErrBusy, fault{Status: 429, Code: "too_many_requests", Title: "too many requests", Retry: true}},
		{kv.ErrLeaving, fault{Status: 503, Code: "leaving", Title: "the node is leaving", Retry: true}},
		{dht.ErrClosed, fault{Status: 503, Code: "leaving", Title: "the node is leaving", Retry: true}},
		{ErrNotMember, fault{Status: 409, Code: "not_member", Title: "the node is not a member"}},
		{kv.ErrUnavailable, fault{Status: 503, Code: "unavailable", Title: "unavailable", Retry: true}},
		{dht.ErrNoRoute, fault{Status: 503, Code: "unavailable", Title: "unavailable", Retry: true}},
		{dht.ErrUnreachable, fault{Status: 503, Code: "unavailable", Title: "unavailable", Retry: true}},
		{dht.ErrTimeout, fault{Status: 504, Code: "timeout", Title: "no answer in time", Retry: true, open: true}},
		{context.DeadlineExceeded, fault{Status: 504, Code: "timeout", Title: "no answer in time", Retry: true, open: true}},
		{context.Canceled, fault{Status: 503, Code: "canceled", Title: "the client went away", Retry: true, open: true}},
	}
}

// faultOf is the fault for an error of a handler or of the node.
func faultOf(err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	for _, known := range faults() {
		if errors.Is(err, known.err) {
			found := known.like
			found.Detail = err.Error()
			return &found
		}
	}
	return &fault{Status: 500, Code: "internal", Title: "internal error", Detail: err.Error(), open: true}
}

// ofWrite completes a fault that ended a write.
func (f *fault) ofWrite(want, got int) *fault {
	c := *f
	if c.Outcome == "" {
		c.Outcome = notApplied
		if c.open {
			c.Outcome, c.Retry = unknown, false // a program must look before it writes again
		}
	}
	c.Acks = &acks{want, got}
	return &c
}

// problem is a fault as RFC 9457 has it.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty"`
	Code      string `json:"code"`
	RequestID string `json:"request_id"`
	Retryable bool   `json:"retryable"`
	Outcome   string `json:"outcome,omitempty"`
	Acks      *acks  `json:"acks,omitempty"`
}

// write answers with f.
func (f *fault) write(w http.ResponseWriter, r *http.Request, id string) {
	body, err := json.Marshal(problem{
		Type:  "urn:dyschord:problem:" + strings.ReplaceAll(f.Code, "_", "-"),
		Title: f.Title, Status: f.Status, Detail: strings.ToValidUTF8(f.Detail, "\uFFFD"), Code: f.Code, RequestID: id,
		Retryable: f.Retry, Outcome: f.Outcome, Acks: f.Acks,
	})
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	h := w.Header()
	for _, name := range []string{"Content-Encoding", "Content-Security-Policy", "Last-Modified"} {
		h.Del(name)
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	if f.allow != "" {
		h.Set("Allow", f.allow)
	}
	switch f.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="dyschord"`)
	}
	w.WriteHeader(f.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that is gone needs no answer
	}
}
