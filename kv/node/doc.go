// Package node assembles a whole node for programs that embed one: a data directory,
// a libp2p host, an overlay, the key-value layer, and the HTTP gateway.
//
//	n, err := node.Start(ctx, node.Config{DataDir: "data", Gateway: "127.0.0.1:8080"})
//	...
//	err = n.Ready(ctx)   // a member that serves
//	_, _, err = n.Put(ctx, []byte("key"), kv.Put{Value: value})
//	err = n.Close()      // stops; n.Leave(ctx) leaves for good
//
// # Life of a node
//
// Starting: Start opens, in this order, the data directory and the store in it, the
// HTTP listeners, and the host. Whatever is wrong with one of them (a directory that
// is in use, foreign or of another cluster; an occupied port) is an error of Start,
// before any other node has heard of this one.
//
// Joining: the node answers HTTP and says that it is not ready, and why. What it does
// depends on what it was told and what it remembers:
//
//	bootstrap   was a member   it
//	no          no             founds a cluster
//	yes         no             tries until a member lets it in; never founds
//	any         yes            tries those it knew and bootstrap; if nobody is a
//	                           member (all were restarted), opens a ring for the others
//
// A bootstrap peer that refuses the node, because it has other settings or its
// identifier is taken, ends it: [Refused] names both values. Everything else is tried
// again, with growing, jittered pauses.
//
// Ready: it is a member. Whether it serves well is what [Node.Checks] tests.
//
// Leaving, Left: [Node.Leave] hands over and then ends the node.
//
// Stopped: Close, or a reason of the node's own, which [Node.Err] gives. Closing goes
// backwards: HTTP requests finish, then activities of the node, then its connections,
// then its store, then the lock on its directory. Nobody is told, so that a node which
// is restarted finds its data where it was.
//
// # Data directory
//
//	lock           held while a process uses the directory
//	dyschord.json  what the data belongs to: cluster, algorithm, bits, hash, slots
//	key            the node's identity
//	boot           the incarnation of the last start; each is larger than all before
//	peers.json     contacts of other members, for the way back
//	store/         the data
//
// # Goroutines
//
// A node has one goroutine of its own, which joins and then looks after it, and those
// of its host and listeners. Methods of Node enter the host's monitor through
// p2p.Host.Do. Metrics are fed by the events of overlay, kv and host.
package node
