package lab

import (
	"math/rand/v2"
	"time"

	"dyschord/dht"
)

// source is one host's random numbers for one purpose: 16 bytes, since there may
// be a million. Hosts and purposes do not shift each other, whatever the overlay
// does.
type source struct{ pcg rand.PCG }

// The purposes, in the upper half of the second seed.
const (
	streamSessions = 1 << 32
	streamKeys     = 2 << 32
)

func (s *source) seed(seed uint64, stream uint64, host int) { s.pcg.Seed(seed, stream|uint64(host)) }

// exp draws from an exponential distribution.
func (s *source) exp(mean time.Duration) time.Duration {
	return time.Duration(rand.New(&s.pcg).ExpFloat64() * float64(mean))
}

// id draws a point of the space.
func (s *source) id(space dht.Space) dht.ID {
	return space.Trim(dht.NewID(s.pcg.Uint64(), s.pcg.Uint64()))
}
