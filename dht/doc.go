// Package dht says what an overlay promises and what it may ask of the world. It
// is the seam everything else meets at, and imports nothing of the project.
//
// # What is here
//
//   - [ID] and [Space]: points on the identifier ring, their arithmetic, and the
//     hash that places keys. [Between] and [BetweenIncl] are the ring intervals.
//   - [Overlay]: a distributed hash table seen from one node. It answers one
//     question, which live nodes are responsible for an identifier; it stores
//     nothing. [Route] is the answer with the way it was found, and the place where
//     a hop is defined.
//   - [Env]: the world. Time, randomness, activities, disks and calls to other
//     nodes are reached through it and in no other way, so that one body of code
//     runs on libp2p (package net/p2p) and in the simulator (package net/simnet).
//   - [Message], [Kind], [Service], [Reply], [Calls]: conversations between nodes.
//   - [Error]: failures whose meaning survives the wire.
//
// # The rule for protocol code
//
// Protocols are written as plain blocking code without locks. One activity of a
// node runs at a time, and it holds the node until it makes a blocking call. So:
//
//	node state may change across any blocking Env call; read it again afterwards.
//
// The blocking calls are Sleep, Block, Signal.Wait and Calls.Next, and whatever
// calls them: [Call], [Ask], [Overlay].Join, Lookup and Leave. Everything else
// returns at once. A handler (Service.Handle) must not block at all: it replies
// from memory, or keeps the Reply and goes on in Env.Go.
//
// What follows from the rule, and has gone wrong wherever it was forgotten:
//
//   - A value read before a blocking call is a hint after it. Compare the
//     incarnation and the state again before applying a reply.
//   - Replace slices, never edit them: a message in flight may still point there.
//   - Never keep a bounded resource across a call to another node: the other side
//     may be waiting for the same of us.
//   - Never range over a map where the order reaches a message, a timer or a
//     choice: the same seed must give the same trace.
//   - No goroutines, channels, package sync, wall clock or global randomness. A test
//     of the project (internal/arch) reads the source and refuses them.
//
// # Errors
//
// Time-outs of requests belong to Env, which learns them from measured round
// trips; a caller's context only says "stop". The sentinels in this package name
// what a caller can do; they are compared with errors.Is on both sides of the wire.
package dht
