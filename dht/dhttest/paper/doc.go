// Package paper replays the figures of papers on ring overlays, written down as files
// of commands and what they show, against the code. It is apart from package dhttest so
// that a suite outside of the project needs nothing for it.
package paper
