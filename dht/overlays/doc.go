// Package overlays is the one table of algorithms: name, settings, constructor. A
// new algorithm is a folder of its own and a line here. There is no logic.
package overlays
