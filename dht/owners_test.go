package dht

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Both rules agree with their definitions: sort all members by the distance.
func TestOwnershipIsByDistance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Space{Bits: rapid.SampledFrom([]int{4, 9, 64, 128}).Draw(t, "bits")}
		ids := map[ID]bool{}
		for range rapid.IntRange(0, 40).Draw(t, "nodes") {
			ids[s.Trim(anyID(t, "id"))] = true
		}
		var members []Peer
		for id := range ids {
			members = append(members, Peer{ID: id})
		}
		slices.SortFunc(members, func(a, b Peer) int { return a.ID.Cmp(b.ID) })
		key, n := s.Trim(anyID(t, "key")), rapid.IntRange(0, 50).Draw(t, "n")
		check := func(name string, rule Ownership, distance func(ID) ID) {
			want := slices.Clone(members)
			slices.SortFunc(want, func(a, b Peer) int { return distance(a.ID).Cmp(distance(b.ID)) })
			want = want[:min(n, len(want))]
			if got := rule(members, key, n); !slices.Equal(got, want) {
				t.Fatalf("%s of %s in %d bits among %v: %v, want %v", name, key, s.Width(), members, got, want)
			}
		}
		check("successors", Successors, func(id ID) ID { return s.Sub(id, key) })
		check("closest", Closest, func(id ID) ID { return id.Xor(key) })
	})
}
