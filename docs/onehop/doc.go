// Package onehop is an overlay in which everybody knows everybody, so that a lookup is one
// move (Gupta, Liskov, Rodrigues, "One Hop Lookups for Peer-to-Peer Overlays", HotOS 2003;
// but events spread by gossip). What is heard is a hint: owners answer before they are named,
// the dead are asked before they are struck out, so a wrong table makes lookups longer, not
// wrong. It is good for some thousands of nodes that trust each other and stay for an hour:
// memory grows with their number, to 8,192 members, traffic with joins and deaths anywhere.
package onehop
