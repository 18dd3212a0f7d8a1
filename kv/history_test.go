package kv

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// event is one operation of a client, as it saw it.
type event struct {
	client     int
	op         opCode
	key, value string
	call, done time.Duration
	version    uint64
	existed    bool
	err        error
	ended      bool
}

// history is what the clients of a run saw.
type history struct {
	all  []*event
	dups bool // the network repeats requests, so that "not applied" is not binding
}

// begin notes the start of an operation.
func (h *history) begin(client int, op opCode, key, value string, now time.Duration) *event {
	e := &event{client: client, op: op, key: key, value: value, call: now}
	h.all = append(h.all, e)
	return e
}

func (e *event) end(now time.Duration, version uint64, existed bool, err error) {
	e.done, e.version, e.existed, e.err, e.ended = now, version, existed, err, true
}

// unknown says whether the operation may have had an effect that nobody was told of.
func (h *history) unknown(e *event) bool {
	if e.op == opGet {
		return false
	}
	return !e.ended || e.err != nil && (h.dups || errors.Is(e.err, ErrUnknown))
}

func (e *event) ok() bool { return e.ended && e.err == nil }

func (e *event) missing() bool { return e.op == opGet && e.ended && errors.Is(e.err, ErrNotFound) }

func (h *history) counts() (ok, failed, unknown int) {
	for _, e := range h.all {
		switch {
		case e.ok() || e.missing():
			ok++
		case h.unknown(e):
			unknown++
		default:
			failed++
		}
	}
	return ok, failed, unknown
}

// register is the state of a key in the model. Versions grow with every write of a
// key; that of a write without an answer is learnt from whoever reads it.
type register struct {
	value   string
	present bool
	version uint64 // at least this; exactly if known
	known   bool
}

// model is a register with versions: what one key must behave like.
var model = porcupine.Model{
	Init: func() any { return register{known: true} },
	Step: func(state, input, output any) (bool, any) {
		s, e := state.(register), input.(*event)
		open := output.(bool)
		switch {
		case e.op == opGet && e.missing():
			return !s.present, s
		case e.op == opGet:
			if !s.present || s.value != e.value || s.known && s.version != e.version || s.version > e.version {
				return false, s
			}
			s.version, s.known = e.version, true
			return true, s
		case open:
			return true, register{value: e.value, present: e.op == opPut, version: s.version + 1}
		case e.existed != s.present || e.version <= s.version:
			return false, s
		}
		return true, register{value: e.value, present: e.op == opPut, version: e.version, known: true}
	},
	DescribeOperation: func(input, output any) string { return input.(*event).String() },
	DescribeState:     func(state any) string { return fmt.Sprintf("%+v", state) },
}

// String describes the operation in one line.
func (e *event) String() string {
	outcome := "no answer"
	if e.ended {
		outcome = fmt.Sprintf("version %d existed %v err %v", e.version, e.existed, e.err)
	}
	return fmt.Sprintf("%s..%s client %d %s %s %q: %s", e.call, e.done, e.client, e.op, e.key, e.value, outcome)
}

// check fails the test if the history of some key is not linearizable.
func (h *history) check(t testing.TB) {
	t.Helper()
	byKey := map[string][]*event{}
	seen := map[string]bool{}
	for _, e := range h.all {
		byKey[e.key] = append(byKey[e.key], e)
		if e.op == opGet && e.ok() {
			seen[e.value] = true
		}
	}
	for key, events := range byKey {
		// Writes without an answer that nobody read can be left out: they may come
		// last. Only if there is no order without them are they tried everywhere.
		verdict := porcupine.Unknown
		for _, keep := range []func(*event) bool{
			func(e *event) bool { return e.op == opPut && seen[e.value] },
			func(e *event) bool { return e.op == opDelete || seen[e.value] },
			func(*event) bool { return true },
		} {
			if verdict = h.linearizable(events, keep); verdict == porcupine.Ok {
				break
			}
		}
		switch verdict {
		case porcupine.Illegal:
			t.Errorf("key %s is not linearizable:\n%s", key, list(events))
		case porcupine.Unknown:
			t.Errorf("key %s: no verdict in time", key)
		}
	}
}

func list(events []*event) string {
	var b strings.Builder
	for _, e := range slices.SortedFunc(slices.Values(events), func(a, b *event) int { return int(a.call - b.call) }) {
		fmt.Fprintln(&b, "  ", e)
	}
	return b.String()
}

func (h *history) linearizable(events []*event, keep func(*event) bool) porcupine.CheckResult {
	var ops []porcupine.Operation
	for _, e := range events {
		open := h.unknown(e)
		if open && !keep(e) || !open && !e.ok() && !e.missing() {
			continue
		}
		op := porcupine.Operation{ClientId: e.client, Input: e, Output: open, Call: int64(e.call), Return: int64(e.done)}
		if open {
			op.Return = math.MaxInt64
		}
		ops = append(ops, op)
	}
	return porcupine.CheckOperationsTimeout(model, ops, 20*time.Second)
}

func TestTheModelRefusesWhatIsWrong(t *testing.T) {
	at := func(i int) time.Duration { return time.Duration(i) * time.Second }
	put := func(i int, v string, version uint64, existed bool) *event {
		return &event{op: opPut, key: "k", value: v, call: at(i), done: at(i) + 1, version: version, existed: existed, ended: true}
	}
	get := func(i int, v string, version uint64) *event {
		return &event{op: opGet, key: "k", value: v, call: at(i), done: at(i) + 1, version: version, ended: true}
	}
	none := func(i int) *event {
		return &event{op: opGet, key: "k", call: at(i), done: at(i) + 1, err: ErrNotFound, ended: true}
	}
	lost := &event{op: opPut, key: "k", value: "b", call: at(2)}
	for name, c := range map[string]struct {
		events []*event
		right  bool
	}{
		"in order":                 {[]*event{put(1, "a", 1, false), get(2, "a", 1), put(3, "b", 2, true), get(4, "b", 2)}, true},
		"stale read":               {[]*event{put(1, "a", 1, false), put(2, "b", 2, true), get(3, "a", 1)}, false},
		"lost write":               {[]*event{put(1, "a", 1, false), none(2)}, false},
		"existed wrongly":          {[]*event{put(1, "a", 1, true)}, false},
		"version twice":            {[]*event{put(1, "a", 1, false), put(2, "b", 1, true)}, false},
		"open write seen later":    {[]*event{put(1, "a", 1, false), lost, get(3, "a", 1), get(4, "b", 2)}, true},
		"open write seen and gone": {[]*event{put(1, "a", 1, false), lost, get(3, "b", 2), get(4, "a", 1)}, false},
		"open write before a put":  {[]*event{put(1, "a", 1, false), lost, put(3, "c", 3, true), get(4, "c", 3)}, true},
		"refused write applied":    {[]*event{put(1, "a", 1, false), {op: opPut, key: "k", value: "b", call: at(2), done: at(2), err: ErrUnavailable, ended: true}, get(3, "b", 2)}, false},
	} {
		h := &history{all: c.events}
		if got := h.linearizable(c.events, func(*event) bool { return true }) == porcupine.Ok; got != c.right {
			t.Errorf("%s: linearizable is %v", name, got)
		}
	}
}
