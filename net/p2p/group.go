package p2p

import "sync"

// group counts running goroutines, so that an owner can refuse new ones and wait for
// the rest. The zero group is open.
type group struct {
	mu     sync.Mutex
	n      int
	closed bool
	empty  chan struct{} // closed when the last one ends after close
}

// enter counts the caller in; false means that the group is closed.
func (g *group) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.n++
	return true
}

func (g *group) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n--
	if g.closed && g.n == 0 {
		close(g.empty)
	}
}

// start runs f in a goroutine of the group, and says whether it did.
func (g *group) start(f func()) bool {
	if !g.enter() {
		return false
	}
	go func() {
		defer g.leave()
		f()
	}()
	return true
}

// close refuses further goroutines and returns what to wait on for the rest. It is
// called once.
func (g *group) close() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	g.empty = make(chan struct{})
	if g.n == 0 {
		close(g.empty)
	}
	return g.empty
}

func (g *group) running() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}
