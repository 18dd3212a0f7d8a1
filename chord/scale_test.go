package chord_test

import (
	"testing"

	"dyschord/dht/dhttest"
)

func TestBytesPerNode(t *testing.T) { dhttest.TestBytesPerNode(t, options(), 3*1024) }

func BenchmarkUpkeep(b *testing.B) { dhttest.BenchmarkUpkeep(b, options()) }
