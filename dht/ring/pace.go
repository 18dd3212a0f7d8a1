package ring

import (
	"context"

	"dyschord/dht"
)

// Pace says how often an overlay looks after the entries of its routing table: several
// times in each round of upkeep while they change, once in a while when they do not.
type Pace struct {
	eager uint16 // refreshes still to be made at speed, because something has changed
	idle  uint16 // rounds since the last refresh
	busy  bool
}

const (
	// eagerPerRound is how many refreshes a round makes at speed.
	eagerPerRound = 4
	// maxEager bounds how long one burst of changes is felt.
	maxEager = 64
)

// Hurry asks for so many refreshes more at speed.
func (p *Pace) Hurry(refreshes int) {
	p.eager = uint16(min(int(p.eager)+refreshes, maxEager))
}

// Calm forgets that anything has changed, and puts the next refresh at a random time,
// so that nodes that start together do not refresh together.
func (p *Pace) Calm(env dht.Env, quiet int) {
	p.eager, p.idle = 0, uint16(env.Rand().IntN(quiet))
}

// Round is entered once in each round of upkeep. It runs refresh, in an activity of the
// given name, if this is due: in each round at speed, else once in so many quiet
// rounds. refresh returns false if it made no progress, which ends this round's.
func (p *Pace) Round(env dht.Env, name string, quiet int, refresh func(context.Context) bool) {
	p.idle++
	if p.busy || p.eager == 0 && int(p.idle) < quiet {
		return
	}
	p.idle, p.busy = 0, true
	env.Go(name, func(ctx context.Context) {
		defer func() { p.busy = false }()
		for range max(1, min(p.eager, eagerPerRound)) {
			p.eager = max(p.eager, 1) - 1
			if !refresh(ctx) {
				return
			}
		}
	})
}
