package lab

import (
	"context"
	"time"

	"dyschord/dht"
)

// Outcome is what became of a lookup.
type Outcome uint8

const (
	// Correct means that the owners named are those of the moment when it ended.
	Correct Outcome = iota
	// Incorrect means that it named others.
	Incorrect
	// Failed means that it ended with an error.
	Failed
	// Cut means that its origin crashed before it ended. Such lookups are not judged.
	Cut
)

// Lookup is one measured lookup.
type Lookup struct {
	Start    time.Duration // virtual time
	Took     time.Duration
	Outcome  Outcome
	Hops     uint16
	Rounds   uint16
	Messages uint16
	Timeouts uint16
}

// nextLookup plans a host's next lookup. The draws go on while the host is down, so
// that they do not depend on what the overlay does.
func (w *World) nextLookup(i int) {
	h := &w.hosts[i]
	w.net.After(h.keys.exp(w.scenario.LookupEvery), func() {
		key := h.keys.id(w.scenario.Overlay.Space)
		if h.member {
			w.lookup(h, key)
		}
		w.nextLookup(i)
	})
}

// lookup lets a host look key up, and judges it if it began in measured time.
func (w *World) lookup(h *host, key dht.ID) {
	overlay, measured := h.overlay, w.tally.measuring
	row := Lookup{Start: w.net.Now(), Outcome: Cut}
	if measured {
		w.tally.open++
	}
	h.node.Do("lookup", func(ctx context.Context) {
		defer func() {
			if measured {
				w.tally.close(row)
			}
		}()
		route, err := overlay.Lookup(ctx, key, w.scenario.Owners)
		row.Took = w.net.Now() - row.Start
		row.Hops, row.Rounds = count(len(route.Hops)), count(route.Rounds)
		row.Messages, row.Timeouts = count(route.Messages), count(route.Timeouts)
		row.Outcome = w.judge(key, route, err)
	})
}

func count(n int) uint16 { return uint16(min(n, 1<<16-1)) }

func (w *World) judge(key dht.ID, route dht.Route, err error) Outcome {
	switch {
	case err != nil:
		return Failed
	case w.oracle.right(key, w.scenario.Owners, route.Owners):
		return Correct
	default:
		return Incorrect
	}
}
