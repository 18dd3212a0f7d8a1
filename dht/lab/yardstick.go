package lab

import (
	"time"

	"dyschord/dht/lookup"
)

// Yardstick is a result that p2psim reached with the workload of [ChurnP2PSim], and the
// scenario that repeats it with the overlay of this project.
type Yardstick struct {
	Scenario Scenario
	Setting  string        // what tells it from the algorithm's other rows
	Correct  float64       // share of p2psim's lookups
	Latency  time.Duration // mean of its lookups
	Bytes    float64       // that its nodes sent per second, as [Load.P2PSim] counts
}

// PerMegabyte is how many lookups end correctly for a megabyte sent, where a share of
// lookups is correct, each node makes one in every so long a time, and sends so many
// bytes a second.
func PerMegabyte(correct float64, every time.Duration, bytes float64) float64 {
	return correct / every.Seconds() * 1e6 / bytes
}

// Yardsticks are p2psim's results, with the settings nearest to those it had. Chord:
// recursive, 16 successors, fingers chosen by round trips. Koorde: iterative, degree 16,
// 16 successors; its lookups may take 20 s. Kademlia: k and α as given; a bucket's turn
// comes as often as its refresh there, and there is a request to a neighbour every 10 s.
func Yardsticks(seed uint64) []Yardstick {
	const ms = time.Millisecond
	return []Yardstick{
		chordRow(seed, 9*time.Second, 0.998, 280*ms, 31.8),
		chordRow(seed, 18*time.Second, 0.997, 283*ms, 16.6),
		chordRow(seed, 36*time.Second, 0.994, 290*ms, 8.9),
		chordRow(seed, 72*time.Second, 0.982, 314*ms, 4.8),
		chordRow(seed, 288*time.Second, 0.906, 403*ms, 2.3),
		koordeRow(seed, 18*time.Second, 0.996, 1185*ms, 17.3),
		koordeRow(seed, 72*time.Second, 0.982, 1325*ms, 5.4),
		koordeRow(seed, 288*time.Second, 0.890, 1562*ms, 2.9),
		kademliaRow(seed, "k=16 α=4", 16, 4, 20*time.Minute, Yardstick{Correct: 1, Latency: 373 * ms, Bytes: 33.8}),
		kademliaRow(seed, "k=8 α=3", 8, 3, 10*time.Minute, Yardstick{Correct: 0.996, Latency: 536 * ms, Bytes: 25.2}),
	}
}

func chordRow(seed uint64, stabilize time.Duration, correct float64, latency time.Duration, bytes float64) Yardstick {
	s := ChurnP2PSim("chord", seed)
	s.Overlay.Lookup.Style = lookup.Recursive
	s.Overlay.Lookup.Retries = -1 // 4 s are better spent on one attempt than on two of 2 s
	c := &s.Overlay.Chord
	c.Successors, c.Stabilize, c.Fingers, c.Proximity = 16, stabilize, 4, true
	return Yardstick{s, "stabilize " + stabilize.String(), correct, latency, bytes}
}

func koordeRow(seed uint64, stabilize time.Duration, correct float64, latency time.Duration, bytes float64) Yardstick {
	s := ChurnP2PSim("koorde", seed)
	s.Overlay.Lookup.Timeout = 20 * time.Second
	c := &s.Overlay.Koorde
	c.Degree, c.Successors, c.Stabilize = 16, 16, stabilize
	return Yardstick{s, "stabilize " + stabilize.String(), correct, latency, bytes}
}

// buckets is how many buckets of a Kademlia node hold peers, at this workload's size.
const buckets = 10

func kademliaRow(seed uint64, setting string, k, alpha int, refresh time.Duration, y Yardstick) Yardstick {
	y.Scenario, y.Setting = ChurnP2PSim("kademlia", seed), setting
	y.Scenario.Overlay.Lookup.Alpha = alpha
	c := &y.Scenario.Overlay.Kademlia
	c.K, c.Siblings, c.Interval = k, k, 10*time.Second
	c.Refresh = int(refresh / c.Interval / buckets)
	return y
}
