package kv

import (
	"testing"

	"dyschord/dht"
)

func TestIdentifiersHavePlaces(t *testing.T) {
	c := Config{Space: dht.Space{Bits: 8}, Slots: 16}
	for id, want := range map[uint64]uint32{0x00: 0, 0x0f: 0, 0x10: 1, 0x7a: 7, 0xff: 15} {
		slot, first := c.Place(dht.NewID(0, id))
		if slot != want || first != dht.NewID(0, uint64(want)<<4) {
			t.Errorf("identifier %#x is in slot %d, which begins at %s", id, slot, first)
		}
	}
}
