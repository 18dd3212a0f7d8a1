// Package ring keeps a node in its place on the identifier ring: predecessor,
// successor list, and the conversations that keep both right while nodes come, go
// and fail. Chord and Koorde share it; what they add is a faster way around.
//
// Sources: Stoica et al., "Chord: A Scalable Peer-to-peer Lookup Service for
// Internet Applications" (SIGCOMM 2001; journal version 2003), and Zave, "Reasoning
// about Identifier Spaces: How to Make Chord Correct" (IEEE TSE 2017). Where they
// differ the second is right and is followed.
//
// # Operations
//
// Every operation reads at most one other node at a time, and changes only its own.
//
//	paper                     here
//	join                      Ring.Join, enter
//	stabilize from successor  stabilize1      reads the successor, takes its list over
//	stabilize from predecessor stabilize2     reads the successor's predecessor, likewise
//	rectify (notified)        rectify, rectifyIfDead
//	fail                      lose, on a verdict of ask
//
// What an overlay builds on it: [Ring.Start] runs its upkeep with the ring's, [Pace] says
// when to look after its own table, [Ring.Stretch] reads a distant part of the ring,
// [Ring.Near] and [Ring.Suspect] take its table into account, [Ring.Sections] shows the
// ring's part of it.
//
// # What holds
//
// The invariant: every member has a live successor in its list, and at least r+1
// members (r the list's length) are skipped by no member's list. It implies one
// ordered ring with every member on it or hanging off it, on its way in. It is
// proved for operations that read and apply in one atomic step, a base of r+1
// members that stay, no reuse of identifiers, and never r failures in a row faster
// than one stabilize. Over a network a reply may be stale when it is applied, and
// the proof ends. What takes its place:
//
//   - One stabilize runs at a time, and a reply is applied only if the list it was
//     asked for is still the list (version). Lists are replaced as values.
//   - When a better successor is adopted, the list before it is kept as a fallback
//     until that successor has answered once more.
//   - A node that restarts is a new incarnation ([dht.Peer].Inc). It is no member
//     and refuses requests until it has joined again; whoever it answers or notifies
//     then replaces the old incarnation by the one that speaks; it never takes its
//     own earlier run for another node.
//
// The conformance suite asserts the invariant at every step of runs within its
// assumptions. Outside of them the promise is convergence: some time after the last
// fault, one ring, every list right.
//
// # What sure is worth
//
// [Ring.Sure] says that the answer lies within the reach of this node's lists, of which
// only the first successor is read by this node itself: the rest is what that one said.
// While a death or a join is on its way through the lists, a sure answer is wrong; and
// where many packets are lost, live peers are taken for dead now and then until the next
// round. Of the sure answers of 60 nodes for three owners, 0.3 % were wrong at 5 % loss
// in each direction, and 3 % at 10 %. It is a hint where copies belong and whether a
// lookup would tell more. No safety rests on it: two nodes may both be sure of
// different owners.
//
// # Departures from the papers
//
//   - Fewer than r+1 nodes work: lists end before the node itself instead of being
//     padded, down to the empty list of a node alone. A node alone takes whoever
//     notifies it as its successor, through stabilize2.
//   - A dead successor is dropped and the next one read in the same round.
//   - A peer is dead after Config.Tries unanswered requests in a row, not after one:
//     at 5 % loss one in ten exchanges fails, and at 30 % every second. A wrong
//     verdict is mended by the next stabilize, since the next successor still names
//     the peer as its predecessor. Tries that fail at once, as while a lost connection
//     cannot be made again, are spread over two seconds. A peer that answers but is no
//     member is gone at once.
//   - notify is left out when the successor's state shows that it is not needed.
//   - A confirmed death removes a peer anywhere in the list, so that lookups need not
//     try it again (Suspect). A verdict is on the run that was asked for, and does not
//     remove a later one. Suspicions lead to few pings in a round, however many come.
//   - A node whose whole list dies at once, which the proof rules out, looks beyond the
//     gap through a peer of the overlay's table and goes back from there along the
//     predecessors (regain). Meanwhile it does not take itself for the whole ring, and
//     is sure of nothing, until its successor names it as the predecessor.
//   - leave is a hint that saves the time-outs; nothing rests on it.
//   - Partitions: two rings do not find each other by stabilizing. Seeds and 32 of the
//     peers lost, any of them, are kept; one is probed in a while, this node's own
//     identifier looked up through it, and a better successor fed into stabilize2.
//     Every node does so for itself, so that two rings close like a zip.
package ring
