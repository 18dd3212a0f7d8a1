// Package kv is a linearizable, replicated key-value store on top of any overlay.
//
// Every operation on a single key is linearizable, and a write that was
// acknowledged is on the disks of a majority of the key's replicas. A minority
// that is cut off refuses; it never guesses. The overlay decides which nodes hold
// a key and how they are found, and nothing more: no safety rests on a lookup.
package kv
