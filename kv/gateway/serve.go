package gateway

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"
)

// exchange is one request and its answer.
type exchange struct {
	g     *Gateway
	w     *answer
	r     *http.Request
	id    string // request id
	route *route
	rest  string // what follows the route's prefix, still escaped
}

// answer counts what goes out.
type answer struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader begins the answer.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write sends a part of the body.
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(p)
	a.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// serve answers one request.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request, admin bool) {
	start := time.Now()
	x := &exchange{g: g, w: &answer{ResponseWriter: w}, r: r, id: requestID(r), route: nowhere("")}
	x.w.Header().Set("X-Request-Id", x.id)
	x.w.Header().Set("X-Content-Type-Options", "nosniff")
	defer func() { x.end(start, recover()) }()
	err := x.dispatch(admin)
	if err == nil {
		return
	}
	f := faultOf(err)
	if f.Status >= 500 && !f.Retry && f.Outcome != notApplied && f.Status != http.StatusNotImplemented {
		g.cfg.Log.Error("http request failed", "request", x.id, "route", x.route.name, "err", err)
	}
	if x.w.status == 0 {
		f.write(x.w, r, x.id)
	}
}

// dispatch finds the route and runs it, if all that goes before allows it.
func (x *exchange) dispatch(admin bool) error {
	x.route, x.rest = find(x.g.routes, x.r.URL.EscapedPath(), admin)
	x.deadline(x.g.cfg.Timeout + x.g.cfg.BodyTimeout + x.g.cfg.WriteTimeout)
	if x.r.ContentLength != 0 {
		// For bodies that nobody reads too: net/http waits for their end.
		x.readUntil(time.Now().Add(x.g.cfg.BodyTimeout))
	}
	if x.cors() {
		return nil
	}
	if err := x.expected(); err != nil {
		return err
	}
	handler, err := x.route.handler(x.r.Method)
	if err != nil {
		return err
	}
	if err := x.authorize(x.route.scope(x.r)); err != nil {
		return err
	}
	if !x.route.free {
		if !x.g.enter() {
			return x.turnAway("%d requests are in flight, which is the limit", x.g.cfg.MaxInFlight)
		}
		defer x.g.leave()
	}
	x.g.metrics.inFlight.Inc()
	defer x.g.metrics.inFlight.Dec()
	if x.route.endless {
		return handler(x)
	}
	limit := x.g.cfg.Timeout
	if x.r.Method == http.MethodPut {
		limit += x.g.cfg.BodyTimeout // the operation itself gets its limit after the body
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), limit)
	defer cancel()
	x.r = x.r.WithContext(ctx)
	return handler(x)
}

func (x *exchange) turnAway(format string, args ...any) *fault {
	f := newFault(http.StatusTooManyRequests, "too_many_requests", "too many requests", format, args...)
	f.Retry = true
	if x.r.Method == http.MethodPut || x.r.Method == http.MethodDelete {
		return f.ofWrite(x.g.cfg.Replicas, 0)
	}
	return f
}

// readUntil sets when a client that sends slowly is given up.
func (x *exchange) readUntil(t time.Time) {
	x.deadlineSet(http.NewResponseController(x.w).SetReadDeadline(t))
}

// deadline is when a client that does not take its answer is given up.
func (x *exchange) deadline(d time.Duration) {
	x.deadlineSet(http.NewResponseController(x.w).SetWriteDeadline(time.Now().Add(d)))
}

func (x *exchange) deadlineSet(err error) {
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		x.g.cfg.Log.Debug("deadline not set", "request", x.id, "err", err)
	}
}

// end counts and logs the request, and turns a panic into an answer.
func (x *exchange) end(start time.Time, panicked any) {
	if panicked != nil && panicked != any(http.ErrAbortHandler) {
		x.g.cfg.Log.Error("http handler panicked", "request", x.id, "err", panicked, "stack", string(debug.Stack()))
		if x.w.status == 0 {
			f := newFault(500, "internal", "internal error", "the request could not be carried out; the node's log says why under this request id")
			if f.open = true; x.changes() {
				f = f.ofWrite(x.g.cfg.Replicas, 0)
			}
			f.write(x.w, x.r, x.id)
		}
	}
	took := time.Since(start)
	x.g.metrics.request(x.route.name, x.r.Method, x.w.status, took)
	if x.g.cfg.LogRequests {
		x.g.cfg.Log.LogAttrs(context.WithoutCancel(x.r.Context()), slog.LevelInfo, "http request",
			slog.String("request", x.id), slog.String("method", x.r.Method), slog.String("path", x.r.URL.EscapedPath()),
			slog.Int("status", x.w.status), slog.Int64("bytes", x.w.bytes), slog.Duration("took", took), slog.String("from", x.r.RemoteAddr))
	}
	if panicked == any(http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
}

// json answers with a document.
func (x *exchange) json(status int, document any) error {
	body, err := json.Marshal(document)
	if err != nil {
		return err
	}
	body = append(body, '\n')
	h := x.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	x.w.WriteHeader(status)
	if x.r.Method != http.MethodHead {
		_, _ = x.w.Write(body) // a client that is gone needs no answer
	}
	return nil
}

// requestID takes the client's name for a request, if it is one, or makes one.
func requestID(r *http.Request) string {
	const longest = 64
	id := r.Header.Get("X-Request-Id")
	if len(id) == 0 || len(id) > longest {
		return newID()
	}
	for _, c := range []byte(id) {
		letter := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && c != '-' && c != '_' && c != '.' {
			return newID()
		}
	}
	return id
}

func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// quietLog takes what net/http complains about: clients, nearly always.
func quietLog(l *slog.Logger) *log.Logger { return slog.NewLogLogger(l.Handler(), slog.LevelDebug) }
