package node

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"dyschord/dht"
	"dyschord/kv"
	"dyschord/net/p2p"
)

// metrics turns a node's events into Prometheus metrics. Labels are few and fixed:
// none names a peer or a key.
type metrics struct {
	algorithm string
	codes     map[uint16]string // names of errors

	registry *prometheus.Registry
	hops     *prometheus.HistogramVec // by algorithm, result
	lookups  *prometheus.HistogramVec // the same, seconds
	rpcs     *prometheus.HistogramVec // by message, code
	ops      *prometheus.HistogramVec // by operation, code
	fsync    prometheus.Histogram
	changes  prometheus.Counter
	decided  *prometheus.CounterVec // by cause
	copied   prometheus.Counter
	released prometheus.Counter
}

func newMetrics(algorithm string) *metrics {
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	m := &metrics{
		algorithm: algorithm,
		codes:     codeNames(),
		registry:  prometheus.NewRegistry(),
		hops: histogram("dyschord_lookup_hops", "Forwarding hops of a lookup; the final move to the owner counts.",
			prometheus.LinearBuckets(0, 1, 12), "algorithm", "result"),
		lookups: histogram("dyschord_lookup_seconds", "Duration of a lookup.",
			prometheus.ExponentialBuckets(0.0005, 2, 16), "algorithm", "result"),
		rpcs: histogram("dyschord_rpc_seconds", "Duration of a call to another node; code ok is a reply, others are errors.",
			prometheus.ExponentialBuckets(0.0001, 2, 18), "message", "code"),
		ops: histogram("dyschord_kv_operation_seconds", "Duration of an operation on a key that a client asked of this node; code ok is success, others are errors.",
			prometheus.ExponentialBuckets(0.0001, 2, 18), "operation", "code"),
		fsync: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "dyschord_fsync_seconds", Help: "Time that the disk took to make changes durable.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
		}),
		changes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dyschord_store_changes_total", Help: "Changes made durable; several share a wait for the disk.",
		}),
		decided: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dyschord_repairs_total", Help: "Slots that this node moved to new members, by cause.",
		}, []string{"cause"}),
		copied: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dyschord_handoff_bytes_total", Help: "Bytes of slots copied to this node.",
		}),
		released: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dyschord_slots_released_total", Help: "Slots that this node dropped because others hold them.",
		}),
	}
	m.registry.MustRegister(m.hops, m.lookups, m.rpcs, m.ops, m.fsync, m.changes, m.decided, m.copied, m.released,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.name()
	return m
}

// name makes the series that are known beforehand begin at 0, so that the first
// event is an increase.
func (m *metrics) name() {
	for _, cause := range kv.Causes() {
		m.decided.WithLabelValues(cause)
	}
	for _, op := range []string{"get", "put", "delete"} {
		m.ops.WithLabelValues(op, m.codeName(0))
	}
	for _, how := range []string{"ok", "no_route", "timeout", "error"} {
		m.hops.WithLabelValues(m.algorithm, how)
		m.lookups.WithLabelValues(m.algorithm, how)
	}
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
		m.rpcs.WithLabelValues(e.Message, m.codeName(e.Code)).Observe(e.Took.Seconds())
	case kv.Operated:
		m.ops.WithLabelValues(e.Op, m.errorCode(e.Err)).Observe(e.Took.Seconds())
	case kv.Synced:
		m.fsync.Observe(e.Took.Seconds())
		m.changes.Add(float64(e.Changes))
	case kv.Decided:
		m.decided.WithLabelValues(e.Cause).Inc()
	case kv.Copied:
		m.copied.Add(float64(e.Bytes))
	case kv.Released:
		m.released.Inc()
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
