package gateway

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the gateway's figures. No label names a peer or a key.
type metrics struct {
	requests *prometheus.HistogramVec // seconds, by route, method, code
	inFlight prometheus.Gauge
	acks     prometheus.Histogram
}

func newMetrics(registry *prometheus.Registry) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "dyschord_http_request_seconds", Help: "Duration of an HTTP request, from its header to the end of the answer.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}, []string{"route", "method", "code"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "dyschord_http_in_flight_requests", Help: "HTTP requests that are being served.",
		}),
		acks: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "dyschord_write_acks", Help: "Replicas that had a write on disk when it was acknowledged.",
			Buckets: prometheus.LinearBuckets(1, 1, 7),
		}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.inFlight, m.acks} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// request counts a request that ended.
func (m *metrics) request(route, method string, status int, took time.Duration) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodOptions:
	default:
		method = "other" // anybody may make one up
	}
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Observe(took.Seconds())
}
