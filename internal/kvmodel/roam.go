package main

import (
	"math/rand/v2"
	"time"
)

// roam takes random walks of at most length steps from the start, each step drawn from
// all that are possible, until an invariant does not hold. It goes where the bounds are
// too wide to visit everything; complete is never set, and states counts visits.
func roam[S any](sys system[S], seed uint64, walks, length int) outcome[S] {
	began := time.Now()
	rng := rand.New(rand.NewPCG(seed, uint64(length)))
	res := outcome[S]{fired: make(map[kind]int)}
	for range walks {
		at := sys.start()
		sys.reduce(&at)
		var trace []move[S]
		for len(trace) < length {
			var drawn move[S]
			n := 0
			sys.next(&at, func(st step, s *S) {
				res.edges++
				if n++; rng.IntN(n) == 0 {
					drawn = move[S]{st, *s}
				}
			})
			if n == 0 {
				break
			}
			sys.reduce(&drawn.after)
			at = drawn.after
			trace = append(trace, drawn)
			res.states++
			res.fired[drawn.step.kind]++
			if res.broken = sys.broken(&at); res.broken != "" {
				res.trace = trace
				break
			}
		}
		res.depth = max(res.depth, len(trace))
		if res.broken != "" {
			break
		}
	}
	res.took = time.Since(began)
	return res
}
