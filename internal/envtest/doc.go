// Package envtest is the contract of dht.Env as tests. Both worlds run it, the
// simulator (net/simnet) and libp2p (net/p2p): whatever protocol code may rely on
// in one, it may rely on in the other.
//
// An implementation gives a [World], which starts nodes, and calls [Test]:
//
//	func TestEnv(t *testing.T) {
//		envtest.Test(t, func(t *testing.T) envtest.World { return newWorld(t) })
//	}
//
// The tests touch the state of a node only inside activities of that node, so that
// the race detector proves the monitor where there are real threads. Times are
// asserted only as lower bounds and in their order.
package envtest
