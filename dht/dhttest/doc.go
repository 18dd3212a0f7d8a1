// Package dhttest is how an overlay proves its promises: one suite for all of them,
// run in the simulator against an oracle that knows every member.
//
// A new algorithm needs one test:
//
//	func TestConformance(t *testing.T) {
//		dhttest.TestOverlay(t, dhttest.Options{
//			New:        func(v dhttest.Variant) (dht.Factory, error) { ... },
//			Oracle:     dht.Successors,
//			MaxHops:    func(n int) int { return 8 },
//			Neighbours: 8,
//		})
//	}
//
// What it proves, each with iterative and with recursive lookups:
//
//   - Contract: a node that has not joined answers nothing, lookups of what cannot be
//     are refused, a node alone owns everything, tables show what is held.
//   - Calm: lookups from anywhere name the owners that the oracle names, in its
//     order, in few hops; Near is right where it is sure; clusters of every small
//     size work, down to one node; neighbours that call each other at the same
//     instant never wait for each other's wait.
//   - Churn: concurrent joins, joins during lookups, three in ten crashing at once,
//     good-byes, restarts under the old identifier.
//   - Faults: a partition that heals, loss, duplicates and reordering, a node that
//     sends random messages and random replies.
//   - Determinism: the same seed gives the same trace on one processor and on many.
//
// Every message passes the codec of the wire. Overlays that keep a ring ([Ringed])
// are checked for more. At every step of small clusters, every second of larger
// ones: lists are in order, replaced and never edited, predecessors never cleared.
// In the run that keeps to the assumptions of Zave's proof, and only there, her
// invariant holds at every step. Everywhere else the promise is convergence: some
// time after the last fault all is right.
//
// Virtual time is exact and free, so the runs assert on it. DHTTEST_SEED shifts the
// seeds of all runs: a shell loop over it tries many. A seed that fails is a bug;
// keep it as a case of its own.
//
// [FuzzMessages] is the fuzz target for whatever messages an overlay has.
//
// [Cluster] is also useful alone: simulated nodes of one overlay, and what is true
// of them.
package dhttest
