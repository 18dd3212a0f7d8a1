// Package kademlia is the Kademlia overlay. The distance between two identifiers is
// their bitwise exclusive or; a node knows the nodes closest to it and, of all those
// that share 0, 1, 2 … leading bits with it, some of each. With these any node finds
// the nodes closest to any identifier in a few rounds, each of which halves the
// distance several times.
//
// Sources: Maymounkov and Mazières, "Kademlia: A Peer-to-peer Information System Based
// on the XOR Metric", IPTPS 2002; and for siblings Baumgart and Mies, "S/Kademlia: A
// Practicable Approach Towards Secure Key-Based Routing", ICPADS 2007 ("[S]" below).
//
// # From the paper to the code
//
//	paper                                        here
//	§2.1 distance                                dht.ID.Xor; router.Before
//	§2.2 k-buckets, least recently seen first    table.buckets, table.place, table.touch
//	     any message updates its sender's bucket Node.heard (requests), Node.answered
//	     live contacts are never evicted         table.place
//	§2.3 PING                                    ping; Node.probe
//	     FIND_NODE                               the find of package dht/lookup for lookups,
//	                                             near for a node's own tables
//	     STORE, FIND_VALUE                       none: an overlay stores nothing
//	     node lookup                             Node.Lookup, by lookup.Driver
//	     "selects α nodes from its closest       router.Next, table.closest; the driver
//	     non-empty k-bucket"
//	     ends when the k closest have answered   the driver's settling, of the n wanted
//	     bucket refresh                          Node.refresh, refreshment
//	     join                                    Node.joinVia, introduce
//	§2.4 routing table: the bucket that holds    table.siblings
//	     the node itself, and its splitting
//	     unbalanced trees                        near.Empty, table.answer
//	§3   why lookups end at the closest          "What holds", below
//	§4.1 replacement cache                       table.spare, shelve; Node.forget
//	§4.2 accelerated lookups (b bits per step)   none: see below
//	[S] §4.2 sibling list                        table.siblings, reach, covers
//
// testdata/paper replays the paper's figures and rules, command by command: TestPaper.
//
// # The table
//
// A peer stands in one place. The siblings are the 20 nodes closest to this one: they
// are the bucket in which the node itself lies, cut at a distance and not at a prefix.
// Everybody else is in a bucket by the number of bits it shares with this node. So a
// cluster of up to 21 nodes has no buckets at all, and everybody knows everybody.
//
// The way into the table is an answer: to a lookup, a question or a ping. A sender of
// requests is called back first, and a peer that others name is pinged first; of either
// only so many at once. An entry is an incarnation, and gives way to the next one when
// that answers.
//
// # Upkeep
//
// One periodic activity. In each interval it asks one sibling, in turn, whom it knows
// closest to this node, and two bytes stand for each of the siblings that it need not
// name: in a quiet overlay the answer is empty. This shows that the sibling lives, makes
// both known to each other, brings newcomers, and tells who has died lately, either way;
// so that a death is known to all siblings within seconds, though each asks another one
// only every 20 intervals. Whoever hears of a death pings before it believes. While the
// list changes, four are asked in each interval until all have agreed with it.
//
// Every other interval one bucket has its turn: the peer in it that was seen least
// recently is asked, for more of its range if there is room. An empty bucket is filled
// by the siblings, or looked up.
//
// # What holds
//
//   - At all times: the siblings are the closest of all that the node holds, in order;
//     a bucket has at most k peers, all of its range; only a full list of siblings
//     leaves anybody for the buckets. Everybody has answered once.
//   - Lookups: if every node knows one live node in each range in which there are any,
//     every lookup is exact, whatever k, the number of siblings and of candidates in an
//     answer. For assume that the closest n that were found lack a node e of the true
//     ones, and let S be the smallest range around e in which one, x, has answered. In
//     the half of S where e is, x knows some y, and has named it, unless it knows n
//     nodes closer to the key than y. In the order of distance that half is one piece
//     without a gap; so either n nodes are closer than e too, and e is not among the
//     true ones, or y or somebody before y in that half has been asked, and S was not
//     the smallest. TestExactWithTheLeastOfTables tries it with one peer per bucket.
//   - Near is sure of those who share so many bits with this node that none beyond the
//     siblings do (table.reach). These are all siblings of each other, so a newcomer
//     among them asks every one while it joins. When siblings die the range in which the
//     node is sure does not grow until all of the list have agreed that nobody is missing;
//     a newcomer is sure of nothing until then.
//   - Some time after the last join, failure or fault: siblings as full knowledge gives
//     them, no range with live nodes and an empty bucket.
//
// # Departures from the paper, and why
//
//   - Owners of a key are the n nodes closest to it that live, so a lookup settles n and
//     not k. On the way it asks lookup.Config.Alpha at once, and an answer holds
//     lookup.Config.Redundancy candidates: the same for all algorithms, where the paper
//     has 3 and k. A node that counts itself among the nodes closest to the key (fewer
//     than its siblings are closer) names owners, itself among them.
//   - Siblings take the place of splitting: the bucket next to the range in which a node
//     lies may be full, and then lack some of the nodes closest to it.
//   - Where one node faces more than k in the other half of a range, the paper has nodes
//     keep whole subtrees. Here a node tells its siblings which of its buckets are
//     empty; they have the same nodes in that range, so whoever knows one names it.
//   - A newcomer fills its buckets by asking one peer in each, at once, and pinging those
//     that are named; the paper looks up a random identifier in each, one by one. A
//     refresh is such a question too, by turn and not by the hour, and stands in for the
//     ping of the least recently seen that the paper sends when somebody asks for a place.
//   - A death is confirmed by Config.Tries pings and not by one: at 5 % loss one in ten
//     fails. Those that fail at once, while a lost connection cannot be made again, are
//     spread over two seconds. A peer that answers but is no member is gone at once.
//   - Whoever leaves tells its siblings. That is a hint which saves the pings.
//   - Partitions: parts that have lost each other name nobody of each other. Seeds and
//     32 of the peers lost are kept, any of them, since deaths go on meanwhile; one is
//     pinged in a while, and if it answers this node's own identifier is looked up
//     through it.
//   - Proximity (off by default) lets a full bucket keep the shorter round trips instead
//     of the oldest acquaintances.
//   - Not here: lookups with b > 1 bits per step (§4.2), which trade tables for rounds
//     that k = 20 saves already; of [S], disjoint paths and puzzles for identifiers. What
//     [S] asks of identifiers holds, in that they follow from authenticated identities.
//
// # Parameters
//
// [Config] has them with their limits. In a quiet overlay of 1,024 nodes the three
// closest are found in 2.16 rounds in the mean with Alpha 3, 2.26 with Alpha 1, and
// never in more than 3. A quiet node sends 1.4 requests per second. One crash is out of
// all 20 lists in about ten seconds. A node among 100,000 takes 8.6 KB, the simulator's
// part included. Where sessions last minutes, lower Refresh first, then
// Interval; where traffic matters more than repair, raise Interval.
package kademlia
