package simnet

import (
	"fmt"
	"math"
	"time"
)

// SetFaults replaces the faults of the network. It panics if f is not valid.
func (n *Net) SetFaults(f Faults) {
	if err := f.Validate(); err != nil {
		panic(fmt.Errorf("simnet: %w", err))
	}
	n.faults = f.withDefaults()
}

// SetLink lets messages pass only where open says so; nil opens all links. Messages
// under way arrive.
func (n *Net) SetLink(open func(from, to *Node) bool) { n.link = open }

// Partition cuts all links between nodes of different groups. Nodes in no group
// form one of their own. It replaces what SetLink set; Heal ends it.
func (n *Net) Partition(groups ...[]*Node) {
	side := map[*Node]int{}
	for i, group := range groups {
		for _, nd := range group {
			side[nd] = i + 1
		}
	}
	n.SetLink(func(from, to *Node) bool { return side[from] == side[to] })
}

// Heal opens all links.
func (n *Net) Heal() { n.SetLink(nil) }

// Clog holds back the messages of the links that where names, until Unclog.
func (n *Net) Clog(where func(from, to *Node) bool) { n.clogged = where }

// Unclog lets all messages go that were held back, in their order.
func (n *Net) Unclog() {
	n.clogged = nil
	for _, h := range n.held {
		n.queue.push(n.after(n.cfg.Latency.Delay(h.from, h.to)), h.act)
	}
	n.held = nil
}

// held is a message on a clogged link.
type held struct {
	act      action
	from, to *Node
}

const never = math.MaxInt64

// travel draws a message's fate: when it arrives (never on a clogged link), and
// false if it is lost.
func (n *Net) travel(from, to *Node) (at int64, ok bool) {
	f := &n.faults
	switch {
	case n.link != nil && !n.link(from, to):
		n.stats.Blocked++
		return 0, false
	case f.Loss > 0 && n.rand.Float64() < f.Loss:
		n.stats.Lost++
		return 0, false
	case n.clogged != nil && n.clogged(from, to):
		n.stats.Clogged++
		return never, true
	}
	return n.arrival(from, to), true
}

// again draws whether a request arrives a second time, and when.
func (n *Net) again(from, to *Node) (at int64, ok bool) {
	f := &n.faults
	if f.Duplicate == 0 || n.clogged != nil || n.rand.Float64() >= f.Duplicate {
		return 0, false
	}
	n.stats.Duplicated++
	return n.arrival(from, to) + int64(n.draw(f.Jitter+time.Millisecond)) + 1, true
}

// arrival is the latency and what the faults add to it, in the order of the link.
func (n *Net) arrival(from, to *Node) int64 {
	at := n.after(n.cfg.Latency.Delay(from, to))
	f := &n.faults
	if f.Jitter == 0 && f.Reorder == 0 {
		if len(n.order) == 0 {
			return at
		}
	} else if f.Reorder > 0 && n.rand.Float64() < f.Reorder {
		n.stats.Reordered++
		return at + int64(n.draw(f.ReorderBy))
	}
	return n.inOrder(from, to, at+int64(n.draw(f.Jitter)))
}

// inOrder keeps a message from overtaking those before it on the same link.
func (n *Net) inOrder(from, to *Node, at int64) int64 {
	if n.order == nil {
		n.order = map[uint64]int64{}
	}
	if len(n.order) > 4*len(n.nodes)+1024 {
		for pair, last := range n.order {
			if last <= n.now {
				delete(n.order, pair)
			}
		}
	}
	pair := pairOf(from, to)
	at = max(at, n.order[pair])
	n.order[pair] = at
	return at
}

func (n *Net) draw(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(n.rand.Int64N(int64(d)))
}

// deliver queues a message's arrival.
func (n *Net) deliver(at int64, act action, from, to *Node) {
	if at == never {
		n.held = append(n.held, held{act, from, to})
		return
	}
	n.queue.push(at, act)
}
