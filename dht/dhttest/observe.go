package dhttest

import (
	"context"
	"slices"
	"time"

	"dyschord/dht"
)

// Delivered counts the requests of the kind with this name that have arrived.
func (c *Cluster) Delivered(kind string) uint64 {
	for _, k := range c.Net.Stats().Kinds {
		if k.Name == kind {
			return k.Delivered
		}
	}
	return 0
}

// RequestRate runs the world for d and says how many requests a live member sends per
// second of it.
func (c *Cluster) RequestRate(d time.Duration) float64 {
	before := c.Net.Stats().Requests
	c.Net.RunFor(d)
	return float64(c.Net.Stats().Requests-before) / float64(len(c.Live())) / d.Seconds()
}

// Accuse lets one member tell another that p is silent, as a lookup does that asked p
// in vain, and waits a second for what comes of it.
func (c *Cluster) Accuse(by, to *Member, p dht.Peer) {
	c.tb.Helper()
	kinds := to.Overlay.Kinds()
	at := slices.IndexFunc(kinds, func(k dht.Kind) bool { return k.Name == "suspect" })
	if at < 0 {
		c.tb.Fatalf("%s has no message of suspicion", to)
	}
	m := kinds[at].New()
	m.EachPeer(func(q *dht.Peer) { *q = p })
	by.Await("accuse", time.Minute, func(ctx context.Context) {
		if _, err := dht.Call(ctx, by.Env(), to.Peer(), m); err != nil {
			c.tb.Errorf("%s did not take a suspicion of %s: %v", to, p, err)
		}
	})
	c.Net.RunFor(time.Second)
}
