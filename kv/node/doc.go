// Package node assembles a whole node for programs that embed one: an overlay, the
// key-value layer, libp2p and the HTTP gateway.
package node
