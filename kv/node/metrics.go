package node

import (
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"dyschord/dht"
	"dyschord/net/p2p"
)

// metrics turns a node's events into Prometheus metrics. Labels are few and fixed:
// none names a peer or a key.
type metrics struct {
	algorithm string

	registry *prometheus.Registry
	hops     *prometheus.HistogramVec // by algorithm, result
	lookups  *prometheus.HistogramVec // the same, seconds
	rpcs     *prometheus.HistogramVec // by message, code
}

func newMetrics(algorithm string) *metrics {
	m := &metrics{
		algorithm: algorithm,
		registry:  prometheus.NewRegistry(),
		hops: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "dyschord_lookup_hops", Help: "Forwarding hops of a lookup; the final move to the owner counts.",
			Buckets: prometheus.LinearBuckets(0, 1, 12),
		}, []string{"algorithm", "result"}),
		lookups: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "dyschord_lookup_seconds", Help: "Duration of a lookup.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}, []string{"algorithm", "result"}),
		rpcs: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "dyschord_rpc_seconds", Help: "Duration of a call to another node; code 0 is a reply, others are errors.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 18),
		}, []string{"message", "code"}),
	}
	m.registry.MustRegister(m.hops, m.lookups, m.rpcs)
	return m
}

// event counts e. It is called from many goroutines and does not block.
func (m *metrics) event(e dht.Event) {
	switch e := e.(type) {
	case dht.LookupDone:
		if e.Upkeep {
			return
		}
		m.hops.WithLabelValues(m.algorithm, result(e.Err)).Observe(float64(len(e.Route.Hops)))
		m.lookups.WithLabelValues(m.algorithm, result(e.Err)).Observe(e.Route.Took.Seconds())
	case p2p.RPCDone:
		m.rpcs.WithLabelValues(e.Message, strconv.Itoa(int(e.Code))).Observe(e.Took.Seconds())
	}
}

// result is how a lookup ended, in one word.
func result(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, dht.ErrNoRoute):
		return "no_route"
	case errors.Is(err, dht.ErrTimeout):
		return "timeout"
	}
	return "error"
}
