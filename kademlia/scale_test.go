package kademlia_test

import (
	"testing"

	"dyschord/dht/dhttest"
)

// Each doubling of their number adds ten peers to each table, 0.3 KiB; the benchmark
// measures 100,000.
func TestBytesPerNode(t *testing.T) { dhttest.TestBytesPerNode(t, options(), 7*1024) }

func BenchmarkUpkeep(b *testing.B) { dhttest.BenchmarkUpkeep(b, options()) }
