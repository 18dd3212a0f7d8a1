package node

import "sync"

// State is where a node stands in its life.
type State string

// The states of a node, in the order in which it passes through them.
const (
	Starting State = "starting" // opening its data and its listeners
	Joining  State = "joining"  // looking for members to join through
	Ready    State = "ready"    // a member; it serves unless its checks fail
	Leaving  State = "leaving"  // handing its data over
	Left     State = "left"     // handed over; it ends in a moment
	Stopped  State = "stopped"  // ended
)

// condition is the state of a node as others see it. It is used inside and outside
// the monitor.
type condition struct {
	mu      sync.Mutex
	state   State
	trouble string // why joining or leaving takes long; empty if all is well
}

func (c *condition) set(s State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state, c.trouble = s, ""
}

// move changes the state if it is from now, and says whether it was; else it tells
// which it is.
func (c *condition) move(from, to State) (was State, ok bool) { return c.moveBecause(from, to, "") }

// moveBecause is move with the trouble that led to it, which stays until the state
// changes again.
func (c *condition) moveBecause(from, to State, why string) (was State, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != from {
		return c.state, false
	}
	c.state, c.trouble = to, why
	return from, true
}

func (c *condition) complain(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trouble = why
}

func (c *condition) get() (s State, trouble string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, c.trouble
}
