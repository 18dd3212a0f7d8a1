// Package lab runs experiments on overlays: so many nodes of an algorithm, a
// network, churn, lookups, and an oracle that knows what each lookup should have
// found. The nodes run the production code in net/simnet.
//
//	result, err := lab.Run(lab.Scenario{Algorithm: "chord", Nodes: 1024, Seed: 1})
//	fmt.Println(result.Hops().Mean, result.Share(lab.Correct))
//
// # Course of a run
//
// All nodes start at once with tables made from full knowledge, or join one after
// another through random members. Hosts die and come back; each member looks up
// random keys. After the warm-up, lookups are judged and traffic is counted for the
// measured time; then the lookups still under way may end. [New] gives the same
// world to drive by hand.
//
// # What is counted
//
// The oracle keeps all members, by identifier. A node is one from the return of its
// Join to its crash, so a lookup that names a node that has just died is incorrect,
// and so is one that misses a node whose Join has just returned: stricter than what
// an overlay can promise, and the same for all. Lookups whose origin dies are cut
// and not judged. Hops, rounds, messages, time-outs and latency describe the correct
// ones.
//
// # A yardstick
//
// [ChurnP2PSim] is the workload by which MIT's p2psim compared overlays, [Yardsticks]
// its results with the settings that come nearest. go test -run Yardsticks -v -p2psim 3
// prints both side by side.
//
// # Paired runs
//
// Sessions, dead times, keys and the times of lookups are drawn from the seed and
// the host alone; identifiers from the seed and the order of birth. So two algorithms
// under one seed see the same nodes come and go at the same moments and are asked
// for the same keys. Equal scenarios give equal results, trace hash included, and
// runs may go side by side, one per core.
package lab
