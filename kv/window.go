package kv

// windowSize is how many requests a slot remembers.
const windowSize = 1024

// requestIDLen is the length of what identifies a request. The record keeps it with
// one more byte, which says whether the key had a value before.
const requestIDLen = 16

type requestID [requestIDLen]byte

// window finds the version that a request was given, so that its retry is answered
// and not carried out again. It has every request whose record is in the log above
// floor.
type window struct {
	floor uint64
	top   uint64
	byID  map[requestID]numbered
	order []windowEntry // by version
}

// numbered is the version that a request was given, and whether its key had a value
// before.
type numbered struct {
	seq     uint64
	existed bool
}

type windowEntry struct {
	seq uint64
	id  requestID
}

// newWindow is the window of a log that ends at last and has not been read.
func newWindow(last uint64) window { return window{floor: last, top: last} }

// add notes the record at seq. One that does not follow the last leaves a gap:
// what was in it is not known, so the floor rises above it. Old requests are
// forgotten if they are committed: the floor never passes com, which is what a new
// request can be stamped with.
func (w *window) add(seq uint64, request []byte, com uint64) {
	if seq != w.top+1 {
		*w = window{floor: seq - 1}
	}
	w.top = seq
	if id, ok := w.note(seq, request); ok {
		w.order = append(w.order, windowEntry{seq, id})
	}
	for len(w.order) > windowSize && w.order[0].seq <= com {
		w.floor = w.order[0].seq
		w.drop(w.order[0])
		w.order = w.order[1:]
	}
}

// before notes the record at floor, found in the log, and lowers the floor.
func (w *window) before(request []byte) {
	if id, ok := w.note(w.floor, request); ok {
		w.order = append([]windowEntry{{w.floor, id}}, w.order...)
	}
	w.floor--
}

func (w *window) note(seq uint64, request []byte) (requestID, bool) {
	if len(request) != requestIDLen+1 {
		return requestID{}, false
	}
	if w.byID == nil {
		w.byID = make(map[requestID]numbered)
	}
	id := requestID(request)
	w.byID[id] = numbered{seq, request[requestIDLen] == 1}
	return id, true
}

// shorten forgets what is above seq: it never happened.
func (w *window) shorten(seq uint64) {
	for len(w.order) > 0 && w.order[len(w.order)-1].seq > seq {
		w.drop(w.order[len(w.order)-1])
		w.order = w.order[:len(w.order)-1]
	}
	w.top, w.floor = min(w.top, seq), min(w.floor, seq)
}

func (w *window) drop(e windowEntry) {
	if w.byID[e.id].seq == e.seq {
		delete(w.byID, e.id)
	}
}

// find returns what a request was given, if the window has it.
func (w *window) find(id []byte) (numbered, bool) {
	if len(id) != requestIDLen {
		return numbered{}, false
	}
	found, ok := w.byID[requestID(id)]
	return found, ok
}

// requestBytes is what a record keeps of the request that it came from.
func requestBytes(id []byte, existed bool) []byte {
	if len(id) != requestIDLen {
		return nil
	}
	b := append(make([]byte, 0, requestIDLen+1), id...)
	if existed {
		return append(b, 1)
	}
	return append(b, 0)
}
