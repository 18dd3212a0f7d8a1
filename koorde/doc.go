// Package koorde is the Koorde overlay: Chord's ring, and on it a de Bruijn graph of
// constant degree k, by which any node finds any other in about log_k N moves.
//
// Source: Kaashoek and Karger, "Koorde: A simple degree-optimal distributed hash
// table", IPTPS 2003.
package koorde
