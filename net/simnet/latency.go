package simnet

import (
	"math"
	"time"
)

// Latency is the one-way delay of the network from one node to another. It must
// be a pure function of the two nodes; what varies from message to message is
// [Faults].Jitter. A node's place in the model follows from [Node.Index] or
// [Node.Hash].
type Latency interface {
	Delay(from, to *Node) time.Duration
}

// Constant is the same delay between any two nodes.
type Constant time.Duration

// Delay is the constant.
func (c Constant) Delay(_, _ *Node) time.Duration { return time.Duration(c) }

// Uniform draws the delay of each pair from Min to Max, the same in both directions.
type Uniform struct{ Min, Max time.Duration }

// Delay is drawn from the pair's hash.
func (u Uniform) Delay(from, to *Node) time.Duration {
	a, b := min(from.ref, to.ref), max(from.ref, to.ref)
	h := mix(from.net.cfg.Seed, uint64(a)<<32|uint64(b), streamPair)
	return u.Min + time.Duration(h%uint64(max(1, u.Max-u.Min+1)))
}

// Plane puts the nodes uniformly on a square whose side takes Side to cross; the
// delay is the distance, with the delay of both ends' access links, which are
// drawn from 0 to Access, and at least Min.
type Plane struct{ Side, Access, Min time.Duration }

// Delay is symmetric and obeys the triangle inequality if Access is 0.
func (p Plane) Delay(from, to *Node) time.Duration {
	x1, y1, a1 := p.place(from)
	x2, y2, a2 := p.place(to)
	dx, dy := x1-x2, y1-y2
	// The conversions forbid fused operations, which would differ between machines.
	dist := math.Sqrt(float64(dx*dx) + float64(dy*dy))
	return max(p.Min, time.Duration(float64(dist*float64(p.Side)))+a1+a2)
}

func (p Plane) place(nd *Node) (x, y float64, access time.Duration) {
	h := nd.Hash(streamPlace)
	x, y = float64(h>>32)/(1<<32), float64(h&(1<<32-1))/(1<<32)
	if p.Access > 0 {
		access = time.Duration(mix(h, 0, streamPlace) % uint64(p.Access))
	}
	return x, y, access
}

// Matrix reads delays from a square matrix, as measured between real hosts. Nodes
// are spread over its rows by their hash; two nodes in one row are Local apart.
type Matrix struct {
	OneWay [][]time.Duration
	Local  time.Duration
}

// Delay looks up the two nodes' rows.
func (m Matrix) Delay(from, to *Node) time.Duration {
	i, j := m.row(from), m.row(to)
	if i == j {
		return m.Local
	}
	return m.OneWay[i][j]
}

func (m Matrix) row(nd *Node) int { return int(nd.Hash(streamPlace) % uint64(len(m.OneWay))) }

// LatencyFunc makes a model of a function.
type LatencyFunc func(from, to *Node) time.Duration

// Delay calls f.
func (f LatencyFunc) Delay(from, to *Node) time.Duration { return f(from, to) }
