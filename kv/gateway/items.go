package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"dyschord/kv"
)

// getItem answers GET and HEAD of a key: the bytes of the value, or the envelope for
// those who accept JSON.
func getItem(x *exchange) error {
	key, err := decodeKey(x.rest)
	if err != nil {
		return err
	}
	if _, err := x.query(nil, []string{"wait", "consistency"}); err != nil {
		return err
	}
	item, at, err := x.g.node.Get(x.r.Context(), key)
	x.found(at)
	if err != nil {
		return err
	}
	h := x.w.Header()
	h.Set("ETag", etag(item.Version))
	h.Set("Vary", join(h.Get("Vary"), "Accept"))
	h.Set("Cache-Control", "no-cache")
	// A page stored as a value must not act in the name of the gateway's origin.
	h.Set("Content-Security-Policy", "sandbox")
	if acceptsJSON(x.r.Header) {
		body, err := envelopeOf(key, item)
		if err != nil {
			return err
		}
		x.r.Header.Del("Range") // ranges are ranges of the value
		h.Set("Content-Type", "application/json")
		return x.content(item.Modified, body)
	}
	if item.Type == "" {
		item.Type = "application/octet-stream"
	}
	h.Set("Content-Type", item.Type)
	return x.content(item.Modified, item.Value)
}

// content answers with a body, as far as preconditions and ranges ask for it.
func (x *exchange) content(modified time.Time, body []byte) error {
	x.deadline(x.g.cfg.WriteTimeout)
	c := &content{ResponseWriter: x.w}
	http.ServeContent(c, x.r, "", modified, bytes.NewReader(body))
	switch c.refused {
	case 0:
		return nil
	case http.StatusPreconditionFailed:
		return newFault(c.refused, "precondition_failed", "precondition failed", "the value's ETag is %s", x.w.Header().Get("ETag"))
	default:
		return newFault(c.refused, "bad_range", "bad range", "the value has %d bytes: Range %q is not within", len(body), x.r.Header.Get("Range"))
	}
}

// content keeps http.ServeContent's own words for errors back.
type content struct {
	http.ResponseWriter
	refused int
}

// WriteHeader begins the answer, unless it is an error.
func (c *content) WriteHeader(status int) {
	if status >= 400 {
		c.refused = status
		return
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write sends a part of the body, unless it is that of an error.
func (c *content) Write(p []byte) (int, error) {
	if c.refused > 0 {
		return len(p), nil
	}
	return c.ResponseWriter.Write(p)
}

func etag(version uint64) string { return `"` + strconv.FormatUint(version, 10) + `"` }

func join(have, more string) string {
	if have == "" {
		return more
	}
	return have + ", " + more
}

// found says in headers how the key was reached.
func (x *exchange) found(at Access) {
	if at.Owner == "" {
		return
	}
	x.w.Header().Set("Dyschord-Owner", at.Owner)
	x.w.Header().Set("Dyschord-Hops", strconv.Itoa(at.Hops))
}

// acceptsJSON says whether application/json is named among what the client accepts.
func acceptsJSON(h http.Header) bool {
	for _, accept := range h.Values("Accept") {
		for part := range strings.SplitSeq(accept, ",") {
			kind, params, err := mime.ParseMediaType(part)
			if err != nil || kind != "application/json" {
				continue
			}
			if q, err := strconv.ParseFloat(params["q"], 64); err != nil || q > 0 {
				return true
			}
		}
	}
	return false
}

// envelope is a value with what is known about it.
type envelope struct {
	Key      string     `json:"key,omitempty"`
	KeyBytes []byte     `json:"key_base64,omitempty"` // in place of Key, if that is not UTF-8
	Value    []byte     `json:"value"`                // base64
	Version  uint64     `json:"version"`
	Size     int        `json:"size"`
	Type     string     `json:"content_type"`
	Modified *time.Time `json:"modified,omitempty"`
	Expires  *time.Time `json:"expires"` // null: never
}

func envelopeOf(key []byte, item kv.Item) ([]byte, error) {
	e := envelope{Value: item.Value, Version: item.Version, Size: len(item.Value), Type: item.Type}
	if e.Value == nil {
		e.Value = []byte{}
	}
	if utf8.Valid(key) {
		e.Key = string(key)
	} else {
		e.KeyBytes = key
	}
	if !item.Modified.IsZero() {
		modified := item.Modified.UTC()
		e.Modified = &modified
	}
	return json.Marshal(e)
}

// putItem answers PUT of a key.
func putItem(x *exchange) error {
	return x.write(func(key []byte) (kv.Written, Access, error) {
		value, release, err := x.body()
		if err != nil {
			return kv.Written{}, Access{}, err
		}
		defer release()
		ctx, cancel := context.WithTimeout(x.r.Context(), x.g.cfg.Timeout)
		defer cancel()
		return x.g.node.Put(ctx, key, kv.Put{Value: value, Type: x.r.Header.Get("Content-Type")})
	}, func(done kv.Written) int {
		x.w.Header().Set("ETag", etag(done.Version))
		if done.Existed {
			return http.StatusNoContent
		}
		x.w.Header().Set("Content-Length", "0")
		return http.StatusCreated
	})
}

// deleteItem answers DELETE of a key, whether or not it has a value.
func deleteItem(x *exchange) error {
	return x.write(func(key []byte) (kv.Written, Access, error) {
		return x.g.node.Delete(x.r.Context(), key)
	}, func(kv.Written) int { return http.StatusNoContent })
}

// write does what all writes have in common. Every error says what became of it.
func (x *exchange) write(do func(key []byte) (kv.Written, Access, error), status func(kv.Written) int) error {
	var done kv.Written
	err := x.writable()
	if err == nil {
		var key []byte
		if key, err = decodeKey(x.rest); err == nil {
			var at Access
			done, at, err = do(key)
			x.found(at)
		}
	}
	want := done.Replicas
	if want == 0 {
		want = x.g.cfg.Replicas
	}
	if err != nil {
		return faultOf(err).ofWrite(want, done.Acks)
	}
	x.g.metrics.acks.Observe(float64(done.Acks))
	x.w.Header().Set("Dyschord-Acks", fmt.Sprintf("%d/%d", done.Acks, want))
	x.w.WriteHeader(status(done))
	return nil
}

// writable refuses what this version does not carry out, and what it must not ignore.
func (x *exchange) writable() error {
	if _, err := x.query(nil, []string{"ttl"}); err != nil {
		return err
	}
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range"} {
		if len(x.r.Header.Values(name)) > 0 {
			return notImplemented("the header " + name + " on writes")
		}
	}
	if x.r.Header.Get("Content-Range") != "" {
		return badParameter("Content-Range is not allowed: a value is written as a whole")
	}
	if enc := x.r.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return newFault(http.StatusUnsupportedMediaType, "unsupported_encoding", "unsupported encoding",
			"Content-Encoding %q would be forgotten: send the value without it", enc)
	}
	if n := len(x.r.Header.Get("Content-Type")); n > maxContentType {
		return badParameter("Content-Type has %d bytes: %d are allowed", n, maxContentType)
	}
	return nil
}
