package dht

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func anyID(t *rapid.T, name string) ID {
	return NewID(rapid.Uint64().Draw(t, name+".hi"), rapid.Uint64().Draw(t, name+".lo"))
}

func toBig(a ID) *big.Int {
	b, _ := a.MarshalBinary()
	return new(big.Int).SetBytes(b)
}

func TestArithmeticAgreesWithBigIntegers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Space{Bits: rapid.IntRange(MinBits, MaxBits).Draw(t, "bits")}
		mod := new(big.Int).Lsh(big.NewInt(1), s.Width())
		a, b := s.Trim(anyID(t, "a")), s.Trim(anyID(t, "b"))
		n := rapid.UintRange(0, 130).Draw(t, "n")
		full := new(big.Int).Lsh(big.NewInt(1), 128)
		check := func(op string, got ID, want *big.Int) {
			if toBig(got).Cmp(want) != 0 {
				t.Fatalf("%s in %d bits: a=%s b=%s n=%d: got %s, want %x", op, s.Width(), a, b, n, got, want)
			}
		}
		check("add", s.Add(a, b), new(big.Int).Mod(new(big.Int).Add(toBig(a), toBig(b)), mod))
		check("sub", s.Sub(a, b), new(big.Int).Mod(new(big.Int).Sub(toBig(a), toBig(b)), mod))
		check("xor", a.Xor(b), new(big.Int).Xor(toBig(a), toBig(b)))
		check("shl", a.Shl(n), new(big.Int).Mod(new(big.Int).Lsh(toBig(a), n), full))
		check("shr", a.Shr(n), new(big.Int).Rsh(toBig(a), n))
		if a.Cmp(b) != toBig(a).Cmp(toBig(b)) || a.Less(b) != (a.Cmp(b) < 0) {
			t.Fatalf("order of %s and %s", a, b)
		}
		if a.Len() != toBig(a).BitLen() {
			t.Fatalf("length of %s: %d", a, a.Len())
		}
		if back, err := s.Parse(s.Format(a)); err != nil || back != a {
			t.Fatalf("format of %s: %q, %v", a, s.Format(a), err)
		}
	})
}

// In 4 bits every interval can be walked, which is the definition.
func TestBetweenIsWalkingClockwise(t *testing.T) {
	s := Space{Bits: 4}
	at := func(i uint64) ID { return NewID(0, i) }
	for a := range uint64(16) {
		for b := range uint64(16) {
			inside := map[ID]bool{}
			for p := s.Add(at(a), at(1)); p != at(b); p = s.Add(p, at(1)) {
				if p == at(a) {
					break
				}
				inside[p] = true
			}
			for x := range uint64(16) {
				want := inside[at(x)]
				if a == b {
					want = x != a
				}
				if got := Between(at(a), at(x), at(b)); got != want {
					t.Errorf("Between(%d, %d, %d) = %v", a, x, b, got)
				}
				if got := BetweenIncl(at(a), at(x), at(b)); got != (want || x == b) {
					t.Errorf("BetweenIncl(%d, %d, %d) = %v", a, x, b, got)
				}
			}
		}
	}
}

func TestKeyIDs(t *testing.T) {
	trivial := Space{Bits: 4, Hash: Trivial}
	for key, want := range map[string]uint64{"0": 0, "3": 3, "19": 3, "16000000000000000000000000000000000000000000005": 5, "\x01\x07": 7} {
		if got := trivial.KeyID([]byte(key)); got != NewID(0, want) {
			t.Errorf("trivial identifier of %q: %s, want %x", key, got, want)
		}
	}
	// The digest of "abc" as FIPS 180-4 gives it.
	for bits, want := range map[int]string{128: "ba7816bf8f01cfea414140de5dae2223", 64: "ba7816bf8f01cfea", 12: "ba7", 10: "2e9"} {
		s := Space{Bits: bits}
		if got := s.Format(s.KeyID([]byte("abc"))); got != want {
			t.Errorf("identifier of abc in %d bits: %s, want %s", bits, got, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"", "x", "+1", "-1", "0x1", "123456789012345678901234567890123", "10000000000000000g"} {
		if id, err := ParseID(text); err == nil {
			t.Errorf("ParseID(%q) = %s", text, id)
		}
	}
	if id, err := (Space{Bits: 4}).Parse("10"); err == nil {
		t.Errorf("16 is not in 4 bits, but was read as %s", id)
	}
	if err := (Space{Bits: 3}).Validate(); err == nil {
		t.Error("3 bits were allowed")
	}
	var id ID
	if err := id.UnmarshalBinary(make([]byte, 15)); err == nil {
		t.Error("15 bytes were read as an identifier")
	}
}
