// Package koorde is the Koorde overlay: Chord's ring, and on it a de Bruijn graph of
// degree k, by which any node finds any other in about log_k N moves while it knows a
// few dozen nodes, however many there are.
//
// Source: Kaashoek and Karger, "Koorde: A simple degree-optimal distributed hash
// table", IPTPS 2003. The ring is Chord's, as corrected by Zave: package dht/ring.
//
// # The idea
//
// In a de Bruijn graph of degree k an edge leads from every point m to the points k·m + c,
// for the digits c from 0 to k-1: shift m left by a digit and put another one in. So
// whoever shifts in the digits of a key, one after another, arrives at the key, wherever
// the walk began. Few points of the ring are nodes. The node before a point stands for
// it; a node's edges all lead to a short stretch of the ring behind k·m, and the nodes
// there are its pointers. A walk through the graph is a series of imaginary nodes; the
// lookup asks the nodes that stand for them.
//
// # From the paper to the code
//
//	paper                                        here
//	the de Bruijn graph: edges, shift            graph.edges, graph.shift
//	d, the predecessor of 2m                     the anchor among Node.Pointers
//	m.LOOKUP(k, kshift, i)                       Node.Lookup, by lookup.Driver
//	  if k in (m, successor]                     router.Next: ring.Ring.Owners
//	  else if i in (m, successor]                Node.onward: Node.here
//	    d.LOOKUP(k, kshift << 1, i with topBit)  Node.shifted, window.preceding
//	  else successor.LOOKUP(k, kshift, i)        Node.correct
//	kshift, what is left of the key              walk.Left, its digits
//	i, the imaginary node                        walk.Imaginary
//	the best imaginary node to begin at          graph.begin, router.Begin
//	join, stabilize                              ring.Ring.Join, Stabilize
//	d by LOOKUP(2m)                              Node.seek; Node.refresh
//	degree k: shift by a digit                   Config.Degree
//	fault tolerance: successors, nodes around d  Config.Successors, Config.Pointers, backups
//
// testdata replays the paper's graph and lookups, command by command: TestPaper.
//
// # What holds
//
//   - At all times: the ring's promises (dht/ring). Pointers are in clockwise order,
//     without repetition, at most Pointers from the anchor on and four before it; the
//     list is replaced and never edited.
//   - A walk ends. Each move spends some of its budget, so none is made twice; and one
//     that shifts has a digit less to go, one along the ring stands closer before the
//     imaginary node. A shift that leads to the point where it began, as at 00…0 and
//     ff…f, is a move like any other.
//   - Some time after the last join, failure or fault all pointers are what full
//     knowledge would put there.
//   - Lookups are correct in a converged ring, and as correct as the neighbourhood of
//     the key is at other times. Pointers make them short, never right or wrong.
//   - A dead pointer leaves the list at once, and no other does.
//
// # Departures from the paper, and why
//
//   - The walk begins at the point of the node's stretch that leaves the fewest digits,
//     whose number then follows the number of nodes and not the bits of the space. The
//     stretch is taken as far as the pointers reach, not only up to the successor: that
//     is worth half a move.
//   - If the bits are no multiple of a digit's, the first digit is a short one. It is
//     shifted like the others; mostly it is in the starting point already.
//   - k pointers are not enough: a lookup comes to a node in proportion to the gap behind
//     it, and from a wide gap edges lead beyond k nodes. So 2k are kept. With 1,024 nodes
//     k take 4.9 moves in the mean, 2k 3.8 and 4k 3.0.
//   - Four nodes before the anchor are kept, as the paper proposes for failures, in
//     addition: any node before the imaginary one is a legal next hop, only slower.
//   - A correction along the ring takes the best of successors and pointers. A node
//     shifts as soon as it knows who stands for the next imaginary node, although it does
//     not stand for the present one itself.
//   - Answers hold several candidates, best first. Behind them comes a second choice for
//     the case that all are dead: the node before a dead one shifts in its place; and a
//     node without legal pointers hands the walk to one of the next nodes, which begins
//     it anew. It spends less of the walk's budget, which is what puts it behind.
//     Nothing ever walks the whole ring.
//   - kshift does not travel: it is the lowest digits of the key, and their number says
//     all. So a walk from the wire can be held against the key and refused.
//   - Joining, a node borrows its predecessor's pointers, which lie just before its own,
//     with one message. It routes by nothing before it has some.
//   - Pointers are refreshed by asking one of them for its neighbours on the ring, which
//     settles as many as a successor list is long and shows that it lives; then the last
//     of these is asked, and so on round. The anchor is looked up only when no pointer at
//     or before k·m is left. While pointers change there are up to four looks per
//     interval, else one in ten, so that with the defaults a quiet node sends 1.1 requests
//     per second in all.
//
// # Parameters
//
// [Config] has them with their limits. Mean moves of lookups (99th percentile) in perfect
// rings, the final move to the owner counted (BenchmarkHops):
//
//	degree  pointers  successors   128 nodes    1,024      4,096       65,536
//	2       4         8            5.3 (9)      9.4 (13)   11.8 (17)   16.5 (21)
//	16      16        8            2.9 (6)      4.9 (12)   5.7 (16)    7.7 (18)
//	16      32        8, default   2.6 (5)      3.8 (10)   4.5 (12)    5.8 (14)
//	16      32        16           2.4 (4)      3.6 (7)    4.1 (8)     5.4 (10)
//	16      64        8            2.4 (3)      3.0 (4)    3.8 (7)     4.9 (9)
//	64      120       8            2.4 (4)      3.4 (12)   3.8 (19)    6.3 (33)
//
// MIT's simulator p2psim has 2.42, 3.88 and 4.43 for degree 16 with 16 successors at 128,
// 1,024 and 4,096 nodes, and 6.14, 9.25 and 11.21 for degree 2. The width of identifiers
// makes no difference. The long tail is made of wide gaps, which are crossed along the
// ring: more pointers shorten it, and so do more successors. A degree is only as good as
// its pointers: with 120 for degree 64 they are fewer than twice the degree.
//
// # Under churn
//
// Success does not decay. Of 500 hosts with sessions of 20 minutes, half of them down,
// and upkeep every 30 s, 99.98 % of the lookups are correct in the first hour and 99.98 %
// in the tenth, in 3.0 moves (TestNoDecayUnderChurn). Under p2psim's workload, at its
// interval of 18 s, all lookups of the measured hour were correct, in 0.53 s and for 10.4
// bytes per node and second as it counts them; its own Koorde had 99.6 %, 1.185 s and
// 17.3 bytes (TestChurnOfP2PSim).
//
// After half of 1,000 nodes fail at once, all lookups are right from the 15th to the 44th
// round of upkeep on (TestHalfOfTheNodesFail, four runs); the time-outs of dead neighbours
// take most of that. It takes longest where nodes lose their whole successor list, as one
// in 256 does with a list of 8, and find back by way of their pointers.
//
// A node at rest takes 2.6 KB in the simulator, all in (TestBytesPerNode).
package koorde
