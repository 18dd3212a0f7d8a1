package node

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dyschord/kv"
)

// collector reads figures of the node when metrics are asked for.
type collector struct {
	n       *Node
	keys    keys
	slots   *prometheus.Desc // by state
	short   *prometheus.Desc
	held    *prometheus.Desc
	bytes   *prometheus.Desc
	sent    *prometheus.Desc
	heard   *prometheus.Desc
	streams *prometheus.Desc
	peers   *prometheus.Desc
}

func newCollector(n *Node) *collector {
	desc := prometheus.NewDesc
	return &collector{
		n:       n,
		slots:   desc("dyschord_slots", "Slots that this node knows of, by their state here.", []string{"state"}, nil),
		short:   desc("dyschord_under_replicated_slots", "Slots with fewer live copies than wanted that this node speaks for: as their primary, or in its place. The sum over all nodes is that of GET /v1/ring.", nil, nil),
		held:    desc("dyschord_store_keys", "Keys that this node has an entry for, those of deleted values too. In large stores slots are counted in turn.", nil, nil),
		bytes:   desc("dyschord_store_bytes", "Bytes that the store takes, on disk or in memory.", nil, nil),
		sent:    desc("dyschord_p2p_sent_bytes_total", "Bytes of frames sent to other nodes.", nil, nil),
		heard:   desc("dyschord_p2p_received_bytes_total", "Bytes of frames received from other nodes.", nil, nil),
		streams: desc("dyschord_p2p_streams", "Streams open to and from other nodes.", nil, nil),
		peers:   desc("dyschord_p2p_contacts", "Contacts of other nodes that are kept.", nil, nil),
	}
}

// Describe lists the figures.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.slots, c.short, c.held, c.bytes, c.sent, c.heard, c.streams, c.peers} {
		out <- d
	}
}

// Collect reads them. A node that is closing leaves out what it cannot read.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v uint64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	roles, short := c.roles()
	for role, count := range roles {
		gauge(c.slots, float64(count), role)
	}
	gauge(c.short, float64(short))
	if count, ok := c.keys.count(c.n.ctx, c.n.store, c.n.cfg.Slots); ok {
		gauge(c.held, float64(count))
	}
	gauge(c.bytes, float64(c.n.store.Stats().Bytes))
	net := c.n.host.Stats()
	counter(c.sent, net.BytesSent)
	counter(c.heard, net.BytesReceived)
	gauge(c.streams, float64(net.Streams))
	gauge(c.peers, float64(net.Contacts))
}

// roles counts the slots by role, and those that lack copies.
func (c *collector) roles() (roles map[string]int, short int) {
	roles = map[string]int{}
	for _, role := range kv.Roles() {
		roles[role] = 0
	}
	ctx, cancel := context.WithTimeout(c.n.ctx, time.Second)
	defer cancel()
	err := c.n.host.Do(ctx, func(context.Context) {
		for _, s := range c.n.kv.Slots() {
			roles[s.Role]++
			if s.Short {
				short++
			}
		}
	})
	if err != nil {
		return nil, 0
	}
	return roles, short
}
