// Package dhttest is how an overlay proves its promises: one suite for all of them.
package dhttest
