// Package store is the local storage of one node: many slots, each with a log of
// records by version, an index from key to committed version, and a small state
// of the replication protocol.
//
// One layout stands over two engines: Pebble on a disk ([Open]) and memory
// ([NewMemory]), which also models what a crash takes away, for the simulator.
package store
