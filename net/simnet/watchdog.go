package simnet

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// watchdog ends the program when one event takes too much real time. A coroutine
// that waits for a lock or a channel would otherwise hang the simulation without a
// word. Between runs it sleeps.
type watchdog struct {
	beat atomic.Uint64       // grows while the run makes progress
	bite func(report string) // replaced by the test

	mu    sync.Mutex
	awake bool
	seen  uint64 // the beat at the last look
	timer *time.Timer
}

func (w *watchdog) start(seed uint64, limit time.Duration) {
	if limit < 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.beat.Add(1)
	w.awake = true
	if w.timer == nil {
		w.timer = time.AfterFunc(limit, func() { w.look(seed, limit) })
		return
	}
	w.timer.Reset(limit)
}

func (w *watchdog) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.awake = false
		w.timer.Stop()
	}
}

// look runs on the timer's own goroutine.
func (w *watchdog) look(seed uint64, limit time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.awake {
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
