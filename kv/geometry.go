package kv

import "dyschord/dht"

// Place returns the slot that an identifier is in, and the first identifier of that
// slot, which is where the overlay places it. Space and Slots must be set.
func (c Config) Place(id dht.ID) (slot uint32, first dht.ID) {
	slot = c.slotOf(id)
	return slot, c.first(slot)
}
