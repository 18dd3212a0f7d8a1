// Package arch holds the rules of the house as tests: which package may import
// which, which third-party modules stay behind one door, what protocol code must
// not use, what every package owes its reader, and that the example of
// docs/algorithms.md is built, passes its tests and stays as small as is said there. It
// has no code of its own.
//
// To add a package, give it a line in the table in arch_test.go: the fewest arrows
// that it can live with.
package arch
