// Package kademlia is the Kademlia overlay. The distance between two identifiers is
// their bitwise exclusive or; a node knows all of the nodes closest to it and, of
// those that share 0, 1, 2 … leading bits with it, some of each. With these any node
// finds the nodes closest to any identifier in a few rounds, each of which halves the
// distance several times.
//
// Sources: Maymounkov and Mazières, "Kademlia: A Peer-to-peer Information System Based
// on the XOR Metric", IPTPS 2002; and, for siblings, Baumgart and Mies, "S/Kademlia: A
// Practicable Approach Towards Secure Key-Based Routing", ICPADS 2007.
package kademlia
