package simnet

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
)

// watchdog ends the program when one event takes too much real time. A coroutine
// that waits for a lock or a channel would otherwise hang the simulation without a
// word. Between runs it sleeps.
type watchdog struct {
	awake atomic.Bool
	beat  atomic.Uint64 // grows with every step
	seen  uint64        // the beat at the last look
	timer *time.Timer
	bite  func(stacks string) // replaced by the test
}

func (w *watchdog) start(seed uint64, limit time.Duration) {
	if limit < 0 {
		return
	}
	w.beat.Add(1)
	w.awake.Store(true)
	if w.timer == nil {
		w.timer = time.AfterFunc(limit, func() { w.look(seed, limit) })
		return
	}
	w.timer.Reset(limit)
}

func (w *watchdog) stop() {
	w.awake.Store(false)
	if w.timer != nil {
		w.timer.Stop()
	}
}

func (w *watchdog) look(seed uint64, limit time.Duration) {
	if !w.awake.Load() {
		return
	}
	if beat := w.beat.Load(); beat != w.seen {
		w.seen = beat
		w.timer.Reset(limit)
		return
	}
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	report := fmt.Sprintf("simnet: one event has taken more than %v: an activity waits for something outside of Env (seed %d)\n%s", limit, seed, stacks)
	if w.bite == nil {
		panic(report)
	}
	w.bite(report)
}
