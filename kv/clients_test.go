package kv

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"dyschord/dht"
)

// client does one operation after another, each at a random node, for as long as
// the storm lasts. One whose node dies is followed by a new one.
func (st *storm) client() {
	st.clients++
	id := st.clients
	if st.calm {
		return
	}
	m := st.pick()
	kv := m.kv
	if !m.up() || !m.joined {
		st.net.After(st.upTo(time.Second), st.client)
		return
	}
	e := st.next(id)
	env := m.sim.Env()
	over := false
	m.sim.Do("client", func(ctx context.Context) {
		ctx, cancel := env.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		st.operate(ctx, kv, e)
		if !over {
			over = true
			st.net.After(st.upTo(200*time.Millisecond), st.client)
		}
	})
	st.net.After(30*time.Second, func() { // its node died, or stands still
		if !over {
			over = true
			st.client()
		}
	})
}

func (st *storm) next(client int) *event {
	st.values++
	key := st.keys[st.rng.IntN(len(st.keys))]
	op := opGet
	switch r := st.rng.IntN(10); {
	case r < 5:
		op = opPut
	case r < 6:
		op = opDelete
	}
	st.count[op.String()]++
	value := ""
	if op == opPut {
		value = fmt.Sprint("v", st.values)
		if st.long && st.rng.IntN(3) > 0 {
			value += strings.Repeat(".", 1000)
		}
	}
	return st.h.begin(client, op, key, value, st.net.Now())
}

func (st *storm) operate(ctx context.Context, kv *Node, e *event) {
	var w Written
	var item Item
	var err error
	switch e.op {
	case opGet:
		item, _, err = kv.Get(ctx, []byte(e.key))
		e.value, w.Version = string(item.Value), item.Version
	case opPut:
		w, _, err = kv.Put(ctx, []byte(e.key), Put{Value: []byte(e.value)})
	case opDelete:
		w, _, err = kv.Delete(ctx, []byte(e.key))
	}
	if errors.Is(err, dht.ErrClosed) {
		return // the node ended: no answer
	}
	e.end(st.net.Now(), w.Version, w.Existed, err)
}

// finalReads reads every key through every node.
func (st *storm) finalReads() {
	for _, key := range st.keys {
		for _, m := range st.live() {
			st.clients++
			e := st.h.begin(st.clients, opGet, key, "", st.net.Now())
			m.await(func(ctx context.Context) { st.operate(ctx, m.kv, e) })
			if e.err != nil && !errors.Is(e.err, ErrNotFound) {
				st.t.Errorf("calm: get %s at %s: %v", key, m.sim, e.err)
			}
		}
	}
}
