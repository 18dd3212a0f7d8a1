package gateway

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// body reads the body of a write. The limit holds while it is read, so that nobody
// can make the node take more; release gives its memory back to the others.
func (x *exchange) body() (value []byte, release func(), err error) {
	length := x.r.ContentLength
	limit := int64(x.g.cfg.MaxValue)
	switch {
	case length > limit:
		return nil, nil, x.tooLarge()
	case length == 0 && x.r.Header.Get("Content-Length") == "" && len(x.r.TransferEncoding) == 0:
		return nil, nil, newFault(http.StatusLengthRequired, "length_required", "length required",
			"a value needs a Content-Length, 0 for an empty one, or Transfer-Encoding: chunked")
	}
	takes := length
	if length < 0 {
		takes = limit
	}
	release = func() { x.g.bodies.Add(-takes) }
	if x.g.bodies.Add(takes) > int64(x.g.cfg.MaxBodyBytes) {
		release()
		return nil, nil, x.turnAway("bodies of %d bytes are in flight, which is the limit", x.g.cfg.MaxBodyBytes)
	}
	if value, err = x.read(length, limit); err != nil {
		release()
		return nil, nil, err
	}
	return value, release, nil
}

// tooLarge refuses a body, and closes the connection rather than read it all.
func (x *exchange) tooLarge() *fault {
	x.w.Header().Set("Connection", "close")
	return newFault(http.StatusRequestEntityTooLarge, "value_too_large", "value too large", "a value has at most %d bytes here", x.g.cfg.MaxValue)
}

// read reads length bytes, or if that is negative up to limit, before BodyTimeout,
// which began with the request.
func (x *exchange) read(length, limit int64) ([]byte, error) {
	from := http.MaxBytesReader(x.w, x.r.Body, limit)
	var value []byte
	var err error
	if length >= 0 {
		value = make([]byte, length)
		_, err = io.ReadFull(from, value)
	} else {
		value, err = io.ReadAll(from)
	}
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		x.readUntil(time.Time{}) // the rest takes its time without the client
		return value, nil
	case errors.As(err, &tooLarge):
		return nil, x.tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		x.w.Header().Set("Connection", "close")
		f := newFault(http.StatusRequestTimeout, "request_timeout", "request timeout", "the body did not arrive within %s", x.g.cfg.BodyTimeout)
		f.Retry = true
		return nil, f
	default:
		return nil, badParameter("the body ended early: %v", err)
	}
}
