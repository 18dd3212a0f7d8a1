// Package gateway serves the key-value store, and views of the cluster, over HTTP.
//
// Every node has one. [New] makes two handlers over a [Backend], which is what the
// gateway needs from the node: Public for clients, and Admin for operators, which
// serves everything Public does and, beyond it, leaving and profiles.
package gateway
