package node

import (
	"dyschord/dht"
	"dyschord/kv"
)

// codeNames are the values of the label code.
func codeNames() map[uint16]string {
	return map[uint16]string{
		0:                          "ok",
		dht.ErrTimeout.Code:        "timeout",
		dht.ErrUnreachable.Code:    "unreachable",
		dht.ErrRejected.Code:       "rejected",
		dht.ErrMalformed.Code:      "malformed",
		dht.ErrNoRoute.Code:        "no_route",
		dht.ErrClosed.Code:         "closed",
		dht.ErrBusy.Code:           "busy",
		dht.ErrUnknownMessage.Code: "unknown_message",
		dht.ErrInternal.Code:       "internal",
		dht.ErrGaveUp.Code:         "gave_up",
		dht.ErrTaken.Code:          "taken",
		kv.ErrNotFound.Code:        "not_found",
		kv.ErrUnavailable.Code:     "unavailable",
		kv.ErrUnknown.Code:         "outcome_unknown",
		kv.ErrBadKey.Code:          "bad_key",
		kv.ErrTooLarge.Code:        "too_large",
		kv.ErrFull.Code:            "full",
		kv.ErrOverloaded.Code:      "overloaded",
		kv.ErrLeaving.Code:         "leaving",
	}
}

// codeName names the code of a dht.Error. A code that a later version has is "other":
// it may come from any node, and labels are few.
func (m *metrics) codeName(code uint16) string {
	if name, ok := m.codes[code]; ok {
		return name
	}
	return "other"
}

// errorCode names the code of an error.
func (m *metrics) errorCode(err error) string {
	if err == nil {
		return m.codeName(0)
	}
	return m.codeName(dht.AsError(err).Code)
}
