// Package chord is the Chord overlay. A node knows the few nodes after it on the
// identifier ring, and a few at distances that double; with these any node finds any
// other in about ½·log2 N moves.
//
// Sources: Stoica, Morris, Karger, Kaashoek, Balakrishnan, "Chord: A Scalable
// Peer-to-peer Lookup Service for Internet Applications", SIGCOMM 2001 and, as
// "[J]" below, IEEE/ACM Transactions on Networking 11(1), 2003; and Zave, "Reasoning
// about Identifier Spaces: How to Make Chord Correct", IEEE TSE 43(12), 2017.
//
// # From the paper to the code
//
//	paper                                          here
//	[J] §IV.B  consistent hashing, successor(k)    dht.Space.KeyID; ring.Ring.Owns
//	[J] §IV.D  find_successor (fig. 5)             Node.Lookup, by lookup.Driver
//	           "if id in (n, successor] return"    router.Next: ring.Ring.Owners
//	           closest_preceding_node              Node.preceding
//	           n'.find_successor(id)               the driver: ask n', or hand over to it
//	           finger[i]                           fingers.finger; Node.Finger
//	[J] §IV.E  create, join (fig. 6)               ring.Ring.Join, enter
//	           stabilize                           ring.Ring.stabilize1, stabilize2
//	           notify                              ring.Ring.notify, rectify
//	           fix_fingers                         Node.fixFinger, first, nearest
//	           check_predecessor                   ring.Ring.rectifyIfDead
//	[J] §IV.E.3 failures: successor lists,         ring.Ring.behind, lose;
//	           alternate routes                    candidates of lookup.Driver
//	[J] §IV.E.4 voluntary departures               ring.Ring.Leave
//	Zave       the corrected protocol              package dht/ring, whose doc.go has
//	                                               the invariant and what it rests on
//
// testdata replays the papers' own figures, command by command: TestPaper.
//
// # What holds
//
//   - At all times: the successor list is in clockwise order, without repetition and
//     without the node itself; lists are replaced and never edited; a predecessor is
//     never cleared. Fingers are distinct, in clockwise order, at most one for each
//     doubling of the distance.
//   - Within the assumptions of Zave's proof (dht/ring): every member has a live
//     successor, and at least r+1 members are skipped by nobody's list.
//   - Some time after the last join, failure or fault: one ring, every pointer right,
//     every finger what full knowledge would put there (with Proximity: a node of its
//     octave, if that has any).
//   - Lookups: correct in a converged ring, and as correct as the neighbourhood of
//     the key is at other times. Fingers make lookups short, never right or wrong.
//     Owners have answered during the lookup, each with its own view of who comes
//     before it; so a lookup finds a node that has joined a moment ago although its
//     predecessor does not know it yet.
//
// # Departures from the paper, and why
//
//   - The next hop is chosen from the fingers and the successor list together. In a
//     ring of 1,024 nodes this takes 4.47 moves in the mean with 8 successors,
//     against 5.84 with fingers and one successor.
//   - A node names the owner when the key falls anywhere within the reach of its
//     successor list, not only before its first entry.
//   - The finger table holds distinct nodes only. Of the paper's 128 entries about
//     log2 N differ; those that the successor list reaches are not kept twice. One
//     lookup settles all entries from its start to the node that it found, so a
//     whole table costs log2 N - log2 r lookups.
//   - Fingers are refreshed by need: those that are due, up to four per interval, or one
//     in ten intervals when none is. All are due after joining and after one was found
//     changed; one found dead is dropped at once and due.
//   - Who holds a finger's place asks it first whether it is still the first node from
//     the start on: one request, where a lookup takes five to ten.
//   - Fingers may be chosen by their round trips ([Config].Proximity), among all nodes of
//     an octave [2^i, 2^(i+1)) as Gummadi et al., "The Impact of DHT Routing Geometry on
//     Resilience and Proximity", SIGCOMM 2003, and p2psim's Chord have it. They measure
//     against all or many; here each refresh compares the present finger with up to four
//     nodes that it draws from its own tables.
//   - A finger is looked up from its start with an ordinary lookup, whatever the
//     style; the paper's join-time copy of a neighbour's table is left out, since the
//     successor list alone keeps lookups right meanwhile.
//   - Lookups go on after failures, with more candidates per answer (package
//     dht/lookup), and the n owners of a key are its successor and the n-1 nodes
//     after that.
//   - The ring itself follows Zave where she differs: see dht/ring.
//
// # Parameters
//
// [Config] has them with their limits. The defaults suit sessions of an hour:
// neighbours are checked each second, for one request per node; the gap that a crash
// leaves is closed in two to four seconds, and the dead node is out of all 8 lists
// in five to ten; 8 successors bear the failure of 7 neighbours in a row
// between two checks. Where sessions last minutes, raise Successors before lowering
// Stabilize; where traffic matters more than repair, raise Stabilize, and lower Fingers.
// Where nodes are far apart, Proximity pays. docs/measurements.md has figures.
package chord
