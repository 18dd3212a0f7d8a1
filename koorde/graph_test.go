package koorde

import (
	"testing"

	"pgregory.net/rapid"

	"dyschord/dht"
)

func anyGraph(t *rapid.T) graph {
	return graph{dht.Space{Bits: rapid.IntRange(4, 128).Draw(t, "bits")}, uint(rapid.IntRange(1, 6).Draw(t, "digit"))}
}

func (g graph) anyID(t *rapid.T, name string) dht.ID {
	return g.space.Trim(dht.NewID(rapid.Uint64().Draw(t, name), rapid.Uint64().Draw(t, name)))
}

// Wherever a walk begins, shifting all digits that are left makes the key of it, also
// where the bits of the space are no multiple of a digit's.
func TestWalkEndsAtTheKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := anyGraph(t)
		key, m, next := g.anyID(t, "key"), g.anyID(t, "m"), g.anyID(t, "next")
		w := g.begin(key, m, next)
		if m != next && !dht.BetweenIncl(m, w.Imaginary, next) {
			t.Fatalf("begun at %s, not in (%s, %s]", w.Imaginary, m, next)
		}
		for w.Left > 0 {
			if !g.valid(key, w) {
				t.Fatalf("%+v is taken for none of a lookup of %s", w, key)
			}
			var digit int32
			if w, digit = g.shift(key, w); digit < 0 || digit >= 1<<g.digit {
				t.Fatalf("digit %d of %d bits", digit, g.digit)
			}
		}
		if w.Imaginary != key || !g.valid(key, w) {
			t.Fatalf("the walk ended at %s, not at the key %s", w.Imaginary, key)
		}
	})
}

// No point of the gap would leave fewer digits: all of them are tried.
func TestWalkBeginsAtTheBestPoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := graph{dht.Space{Bits: rapid.IntRange(4, 9).Draw(t, "bits")}, uint(rapid.IntRange(1, 4).Draw(t, "digit"))}
		key, m, next := g.anyID(t, "key"), g.anyID(t, "m"), g.anyID(t, "next")
		got := g.begin(key, m, next)
		for left := range got.Left {
			for i := m; i != next; {
				i = g.space.Add(i, dht.NewID(0, 1))
				if g.valid(key, walk{Imaginary: i, Left: left}) {
					t.Fatalf("of (%s, %s], %s leaves %d digits of %s, but the walk begins with %+v", m, next, i, left, key, got)
				}
			}
		}
	})
}

// A key of 8 bits in digits of 3 has a first digit of 2 bits.
func TestFirstDigitIsShort(t *testing.T) {
	g := graph{dht.Space{Bits: 8}, 3}
	if g.digits() != 3 {
		t.Fatalf("%d digits", g.digits())
	}
	w := walk{Imaginary: dht.NewID(0, 0b10101010), Left: 3}
	key := dht.NewID(0, 0b11_010_001)
	for _, want := range []struct {
		digit     int32
		imaginary uint64
	}{{0b11, 0b01010_011}, {0b010, 0b10_011_010}, {0b001, 0b11_010_001}} {
		var digit int32
		w, digit = g.shift(key, w)
		if digit != want.digit || w.Imaginary.Lo() != want.imaginary {
			t.Errorf("digit %b gives %b, want digit %b and %b", digit, w.Imaginary.Lo(), want.digit, want.imaginary)
		}
	}
}

// What comes from the wire is a walk of this key or it is refused.
func TestWalksOfOtherKeysAreInvalid(t *testing.T) {
	g := graph{dht.Space{Bits: 8}, 4}
	key := dht.NewID(0, 0xab)
	for _, c := range []struct {
		w    walk
		want bool
	}{
		{walk{dht.NewID(0, 0xab), 0, 9}, true},
		{walk{dht.NewID(0, 0xaa), 0, 9}, false}, // at its end, and not at the key
		{walk{dht.NewID(0, 0x5a), 1, 9}, true},
		{walk{dht.NewID(0, 0x5b), 1, 9}, false}, // the digit b has not been shifted in yet
		{walk{dht.NewID(0, 0x00), 2, maxBudget}, true},
		{walk{dht.NewID(0, 0x00), 2, maxBudget + 1}, false},
		{walk{dht.NewID(0, 0x00), 3, 9}, false},     // a third digit
		{walk{dht.NewID(0, 0x15a), 1, 9}, false},    // outside of the space
		{walk{dht.NewID(1, 0xab), 0, 9}, false},     // likewise
		{walk{dht.NewID(0, 0xab), 255, 255}, false}, // nonsense
	} {
		if got := g.valid(key, c.w); got != c.want {
			t.Errorf("%+v is valid for %s: %v", c.w, key, got)
		}
	}
}

// The length of walks follows the nodes, not the bits: where a gap is 1/1000 of the
// ring, two or three hexadecimal digits are left, in any space.
func TestDigitsFollowTheNumberOfNodes(t *testing.T) {
	for _, bits := range []int{32, 64, 101, 128} {
		g := graph{dht.Space{Bits: bits}, 4}
		most := uint8(0)
		for i := range uint64(500) {
			key := g.space.KeyID([]byte{byte(i), byte(i >> 8)})
			m := g.space.KeyID([]byte{byte(i), byte(i >> 8), 1})
			most = max(most, g.begin(key, m, g.space.Add(m, g.space.Max().Shr(10))).Left)
		}
		if most != 3 {
			t.Errorf("%d bits: up to %d digits are left", bits, most)
		}
	}
}
