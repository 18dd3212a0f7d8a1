package gateway

import (
	"net/http"
	"net/url"
	"strings"

	"dyschord/kv"
)

const (
	maxKey         = kv.MaxKey
	maxContentType = 256
)

// decodeKey reads a key from a path: what follows the prefix, unescaped once. Every
// string of 1 to 1,024 bytes is a key, slashes and dots included.
func decodeKey(escaped string) ([]byte, error) {
	if len(escaped) > 3*maxKey {
		return nil, keyTooLong(len(escaped) / 3)
	}
	key, err := url.PathUnescape(escaped)
	switch {
	case err != nil:
		return nil, badParameter("the key %q in the path is not percent-encoded rightly: %v", escaped, err)
	case key == "":
		return nil, newFault(http.StatusBadRequest, "empty_key", "empty key", "a key has 1 to %d bytes: put it after the last slash of the path", maxKey)
	case len(key) > maxKey:
		return nil, keyTooLong(len(key))
	}
	return []byte(key), nil
}

func keyTooLong(n int) *fault {
	return newFault(http.StatusRequestURITooLong, "key_too_long", "key too long", "the key has %d bytes or more: 1 to %d are allowed", n, maxKey)
}

// query checks the parameters of a request: those in later are for features that are
// not there yet, and any that is neither there nor allowed is refused too. A
// parameter that was ignored would be a promise that is broken.
func (x *exchange) query(allowed, later []string) (url.Values, error) {
	values, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil {
		return nil, badParameter("the query %q cannot be read: %v", x.r.URL.RawQuery, err)
	}
	for name, all := range values {
		switch {
		case contains(later, name):
			return nil, notImplemented("the parameter " + name)
		case !contains(allowed, name):
			return nil, badParameter("there is no parameter %q here: %s", name, list(allowed))
		case len(all) > 1:
			return nil, badParameter("the parameter %q is given %d times: once is allowed", name, len(all))
		}
	}
	return values, nil
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

func list(allowed []string) string {
	if len(allowed) == 0 {
		return "none is allowed"
	}
	return strings.Join(allowed, ", ") + " is allowed"
}
