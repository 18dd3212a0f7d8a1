package wire

import (
	"testing"

	"dyschord/dht"
)

// BenchmarkCodec measures what a small message and one with peers cost on either side.
func BenchmarkCodec(b *testing.B) {
	c := NewCodec(testKinds())
	peers := &probe{Key: dht.NewID(1, 2), Peers: make([]dht.Peer, 8)}
	for i := range peers.Peers {
		peers.Peers[i] = dht.Peer{Ref: uint32(i + 1), Inc: 70000}
	}
	record := make([]byte, 80)
	for name, m := range map[string]dht.Message{"small": &small{Num: 5, Data: make([]byte, 100)}, "peers": peers} {
		payload, err := c.AppendPayload(nil, m, func(uint32) []byte { return record })
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name+"/encode", func(b *testing.B) {
			b.ReportAllocs()
			buf := make([]byte, 0, 4096)
			for b.Loop() {
				if _, err := c.AppendPayload(buf, m, func(uint32) []byte { return record }); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/decode", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.DecodePayload(m.Code(), payload, func([]byte) (dht.Peer, error) { return dht.Peer{Ref: 1}, nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
