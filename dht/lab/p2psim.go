package lab

import (
	"time"

	"dyschord/net/simnet"
)

// ChurnP2PSim is the workload by which MIT's simulator p2psim compared overlays (Li,
// Stribling, Morris, Kaashoek, Gil, "A performance vs. cost framework for evaluating
// DHT design tradeoffs under churn", INFOCOM 2005): 1,024 hosts on a plane of 150 ms
// by 150 ms, the latency being the distance, so that round trips are 156 ms in the
// mean. Hosts are up for an hour and down for an hour, in the mean and exponentially
// distributed, and come back as new nodes; one never dies. A node looks a random key
// up every ten minutes. The second of two hours is measured. A lookup that takes more
// than 4 s has failed.
//
// As there, the overlay begins with perfect tables, an hour before anything is measured.
// Time-outs are learnt from measured round trips, where p2psim's know the true ones.
// The algorithm's settings are its defaults.
func ChurnP2PSim(algorithm string, seed uint64) Scenario {
	s := Scenario{
		Algorithm: algorithm, Seed: seed, Nodes: 1024,
		Churn:       Churn{Session: time.Hour, Down: time.Hour},
		LookupEvery: 10 * time.Minute,
		Latency:     simnet.Plane{Side: 150 * time.Millisecond},
		WarmUp:      time.Hour, Measure: time.Hour,
		Identifiers: true,
	}
	s.Overlay.Lookup.Timeout = 4 * time.Second
	return s
}

// P2PSim is the load in bytes as p2psim counts them: 20 for a message and 4 for each
// identifier in it.
func (l Load) P2PSim() float64 { return 20*l.Messages + 4*l.Identifiers }
