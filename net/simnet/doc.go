// Package simnet runs the nodes' own code in a simulated world.
package simnet
