// Package simnet is a world in which thousands of nodes run in one process, in
// virtual time, the same way each time. It implements dht.Env: the code of an
// overlay or of kv is not adapted for it in any way.
//
//	n := simnet.New(simnet.Config{Seed: 1, Faults: simnet.Faults{Loss: 0.01}})
//	defer n.Close()
//	nd := n.Add(func(env dht.Env) []dht.Service { return []dht.Service{newOverlay(env)} })
//	n.After(time.Minute, nd.Crash)
//	n.RunFor(time.Hour)
//
// # How it works
//
// A [Net] has one queue of events in virtual time: arrivals of messages, timers,
// time-outs, callbacks. [Net.RunFor] takes the earliest, sets the clock to it and
// carries it out, again and again. Handlers run right there. Activities, which may
// block, are coroutines: a blocking call of Env parks the coroutine and returns to
// the queue, an event resumes it. One thing runs at a time, on one thread, and
// nothing takes virtual time but waiting. A Net belongs to one goroutine; several
// Nets may run side by side, one per core.
//
// # What is simulated
//
//   - Latency between nodes ([Latency]: constant, drawn per pair, on a plane, from a
//     matrix, any function), jitter, and the order a connection keeps.
//   - Loss, duplication and reordering of messages ([Faults]), links that are closed
//     in one or both directions ([Net.SetLink], [Net.Partition]) or hold messages
//     back ([Net.Clog]).
//   - Connections that are lost with all that is on them, and cannot be made again for
//     some seconds ([Net.Cut], [Faults].Cut): failures that come at once.
//   - Crash, restart under the same identity with the next incarnation, orderly
//     shutdown, pauses, wrong clocks ([Node]).
//   - Machines that are busy: an activity whose wait is over runs on late, behind
//     handlers, timers and other activities, and those that are ready run in any order
//     ([Faults].Late). Without it an activity always runs on at the instant its wait
//     ends, which hides what real nodes do.
//   - Disk latency, with jitter if wished: Block waits first, then does the work, so
//     that a crash in between finds it undone. What a store keeps over a crash is up to
//     the store.
//   - Time-outs as a real node has them (internal/rto): learnt from the round trips
//     the node has measured, never from knowledge of the true one. A request ends once,
//     by its first reply or by the time-out; a late reply only teaches. A request that
//     waits for other nodes ends when its caller notices that the connection is lost
//     ([Config].Notice), or at a ceiling.
//   - The bounds on requests in flight and on replies owed, which end with ErrBusy.
//   - The size of messages on the real wire ([Config].Bytes), the identifiers they
//     carry ([Config].Identifiers), and with [Config].CheckCodec the wire itself.
//
// # What is not
//
// Processing takes no virtual time and links have no bandwidth: queues form nowhere
// but at a pause or a clog. There are no connections to open (only to lose), no handshakes, no
// addresses to learn: a Ref is the same number everywhere and Intern never learns
// anything new. A lost message is lost, where TCP would send it again and be late.
// A request may be delivered twice, which a real connection does not do; protocols
// must bear it for the sake of their own repeated requests. Memory, descriptors and
// disks never run out.
//
// # Same seed, same trace
//
// All that is random follows from [Config].Seed: identifiers and each node's Rand
// from (seed, node, incarnation), so that one more node does not shift the others;
// pairs and places from the nodes' hashes; the network's faults from a source of
// its own. Two runs of the same program with the same seed carry out the same events
// in the same order, on any machine of one architecture and for any GOMAXPROCS:
// [Net.TraceHash] tells. What breaks it is behaviour that depends on map order, on
// real time, on addresses of memory or on other goroutines; none of these may reach
// protocol code.
//
// # What goes wrong, and how one sees it
//
//   - A panic in an activity or handler ends the run with a [Failure]: the stack, the
//     node, the activity, the virtual time and the seed.
//   - A blocking call in a handler, a context of package context that could be
//     cancelled, an Env of another node: panics that say so.
//   - An activity that waits for a lock or channel: the watchdog ends the program with
//     all stacks after [Config].Watchdog of real time.
//   - A message that was edited after it was sent, or that its kinds do not carry:
//     CheckCodec.
//
// # Cost
//
// An event takes 0.5 to 1 µs at 1,000 to 10,000 nodes and 2 µs at 100,000, mostly
// waiting for memory. A node takes 0.5 KiB, and up to 0.3 KiB more for its time-outs;
// periodic work 110 bytes, a parked activity about 5 KiB of stack.
package simnet
