package dht

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
)

// Hash names the function that maps keys to identifiers.
type Hash uint8

const (
	// SHA256 takes the leading bits of the key's SHA-256 digest.
	SHA256 Hash = iota
	// Trivial reads a key that is a decimal integer as that integer modulo the
	// space, so that key 19 of a 4-bit space has identifier 3. Any other key is
	// read as one big-endian number. It is for teaching: keys do not spread.
	Trivial
)

// ParseHash reads "sha256" or "trivial".
func ParseHash(s string) (Hash, error) {
	switch s {
	case "sha256":
		return SHA256, nil
	case "trivial":
		return Trivial, nil
	}
	return 0, fmt.Errorf("unknown hash %q: sha256 or trivial is allowed", s)
}

// String returns the name that [ParseHash] reads.
func (h Hash) String() string {
	if h == Trivial {
		return "trivial"
	}
	return "sha256"
}

// MinBits and MaxBits bound the width of a [Space].
const (
	MinBits = 4
	MaxBits = 128
)

// Space is the identifier space all members of a cluster agree on: 2^Bits points
// on a ring, and the hash that places keys on it. The zero Space is 128 bits with
// SHA-256. Narrow spaces are for teaching, papers' figures and exhaustive tests.
type Space struct {
	Bits int // MinBits to MaxBits; 0 means 128
	Hash Hash
}

// Width returns the number of bits, with the default applied.
func (s Space) Width() uint {
	if s.Bits == 0 {
		return MaxBits
	}
	return uint(s.Bits)
}

// Validate says what is wrong with s, if anything.
func (s Space) Validate() error {
	if w := s.Width(); w < MinBits || w > MaxBits {
		return fmt.Errorf("identifier width of %d bits: %d to %d is allowed", s.Bits, MinBits, MaxBits)
	}
	return nil
}

// Contains says whether id is a point of s: whether it fits in its bits.
func (s Space) Contains(id ID) bool { return uint(id.Len()) <= s.Width() }

// Max returns the highest identifier of s.
func (s Space) Max() ID { return ID{^uint64(0), ^uint64(0)}.Shr(MaxBits - s.Width()) }

// Trim reduces id modulo the space.
func (s Space) Trim(id ID) ID { return id.And(s.Max()) }

// Add returns a + b modulo the space.
func (s Space) Add(a, b ID) ID { return s.Trim(a.add(b)) }

// Sub returns a - b modulo the space: the clockwise distance from b to a.
func (s Space) Sub(a, b ID) ID { return s.Trim(a.sub(b)) }

// Pow2 returns 2^i, for i below the width: the distance of Chord's finger i.
func (s Space) Pow2(i uint) ID { return ID{0, 1}.Shl(i) }

// KeyID hashes a key to its identifier.
func (s Space) KeyID(key []byte) ID {
	if s.Hash == Trivial {
		return s.Trim(trivialID(key))
	}
	sum := sha256.Sum256(key)
	id := ID{binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])}
	return id.Shr(MaxBits - s.Width())
}

// trivialID reads key modulo 2^128, without regard to its length.
func trivialID(key []byte) ID {
	if id, ok := decimalID(key); ok {
		return id
	}
	var id ID
	for _, c := range key {
		id = id.Shl(8).Or(ID{0, uint64(c)})
	}
	return id
}

func decimalID(key []byte) (ID, bool) {
	var id ID
	for _, c := range key {
		if c < '0' || c > '9' {
			return ID{}, false
		}
		id = id.Shl(3).add(id.Shl(1)).add(ID{0, uint64(c - '0')})
	}
	return id, len(key) > 0
}

// Format writes id as lower-case hexadecimal, padded to the width of the space.
func (s Space) Format(id ID) string {
	digits := int(s.Width()+3) / 4
	text := strings.TrimLeft(id.String(), "0")
	return strings.Repeat("0", max(0, digits-len(text))) + text
}

// Parse reads an identifier and refuses one that does not fit the space.
func (s Space) Parse(text string) (ID, error) {
	id, err := ParseID(text)
	if err == nil && !s.Contains(id) {
		return ID{}, fmt.Errorf("identifier %s does not fit in %d bits: 0 to %s is allowed", id, s.Width(), s.Max())
	}
	return id, err
}
