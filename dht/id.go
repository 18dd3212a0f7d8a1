package dht

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strconv"
)

// ID is an identifier: a point on the ring of a [Space], held in 128 bits. In a
// narrower space the value stands in the low bits and the rest is zero. IDs are
// compared with ==; the zero ID is an ordinary identifier, not "none".
type ID struct{ hi, lo uint64 }

// NewID makes the ID with the given high and low 64 bits.
func NewID(hi, lo uint64) ID { return ID{hi, lo} }

// ParseID reads 1 to 32 hexadecimal digits, the form that [ID.String] and
// [Space.Format] write. Upper-case digits are accepted.
func ParseID(s string) (ID, error) {
	if len(s) == 0 || len(s) > 32 {
		return ID{}, fmt.Errorf("identifier %q has %d characters: 1 to 32 hexadecimal digits are allowed", s, len(s))
	}
	split := max(0, len(s)-16)
	var id ID
	var err error
	if split > 0 {
		if id.hi, err = parseHex(s[:split]); err != nil {
			return ID{}, err
		}
	}
	id.lo, err = parseHex(s[split:])
	return id, err
}

func parseHex(s string) (uint64, error) {
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return 0, fmt.Errorf("identifier has the character %q: only hexadecimal digits are allowed", c)
		}
	}
	return strconv.ParseUint(s, 16, 64)
}

// Hi returns the high 64 bits.
func (a ID) Hi() uint64 { return a.hi }

// Lo returns the low 64 bits; in spaces of at most 64 bits this is the value.
func (a ID) Lo() uint64 { return a.lo }

// Cmp returns -1, 0 or +1 as a is below, equal to or above b, as plain numbers.
func (a ID) Cmp(b ID) int {
	switch {
	case a.hi < b.hi:
		return -1
	case a.hi > b.hi:
		return 1
	case a.lo < b.lo:
		return -1
	case a.lo > b.lo:
		return 1
	}
	return 0
}

// Less says whether a is below b as a plain number.
func (a ID) Less(b ID) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

// Xor is Kademlia's distance between a and b.
func (a ID) Xor(b ID) ID { return ID{a.hi ^ b.hi, a.lo ^ b.lo} }

// Shl shifts left by n bits within 128 bits; n of 128 and more gives zero.
func (a ID) Shl(n uint) ID {
	if n >= 64 {
		return ID{a.lo << (n - 64), 0}
	}
	return ID{a.hi<<n | a.lo>>(64-n), a.lo << n}
}

// Shr shifts right by n bits; n of 128 and more gives zero.
func (a ID) Shr(n uint) ID {
	if n >= 64 {
		return ID{0, a.hi >> (n - 64)}
	}
	return ID{a.hi >> n, a.lo>>n | a.hi<<(64-n)}
}

// Or returns the bitwise or of a and b.
func (a ID) Or(b ID) ID { return ID{a.hi | b.hi, a.lo | b.lo} }

// And returns the bitwise and of a and b.
func (a ID) And(b ID) ID { return ID{a.hi & b.hi, a.lo & b.lo} }

// Len returns the number of bits needed for a: 0 for zero, at most 128.
func (a ID) Len() int {
	if a.hi != 0 {
		return 64 + bits.Len64(a.hi)
	}
	return bits.Len64(a.lo)
}

// String writes a in lower-case hexadecimal: all 32 digits, or without leading
// zeros where 64 bits suffice. [Space.Format] knows the width of the space.
func (a ID) String() string {
	if a.hi == 0 {
		return strconv.FormatUint(a.lo, 16)
	}
	return fmt.Sprintf("%016x%016x", a.hi, a.lo)
}

// MarshalBinary writes 16 bytes, most significant first.
func (a ID) MarshalBinary() ([]byte, error) {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, a.hi), a.lo), nil
}

// UnmarshalBinary reads the 16 bytes that MarshalBinary writes.
func (a *ID) UnmarshalBinary(b []byte) error {
	if len(b) != 16 {
		return fmt.Errorf("%w: an identifier of %d bytes, not 16", ErrMalformed, len(b))
	}
	a.hi, a.lo = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
	return nil
}

func (a ID) add(b ID) ID {
	lo, carry := bits.Add64(a.lo, b.lo, 0)
	hi, _ := bits.Add64(a.hi, b.hi, carry)
	return ID{hi, lo}
}

func (a ID) sub(b ID) ID {
	lo, borrow := bits.Sub64(a.lo, b.lo, 0)
	hi, _ := bits.Sub64(a.hi, b.hi, borrow)
	return ID{hi, lo}
}

// Between says whether x lies strictly inside the ring interval (a, b), going
// clockwise. When a equals b the interval is the whole ring but that point.
func Between(a, x, b ID) bool {
	if a.Less(b) {
		return a.Less(x) && x.Less(b)
	}
	return a.Less(x) || x.Less(b)
}

// BetweenIncl says whether x lies in (a, b], the interval of the keys that b
// owns when a is its predecessor. When a equals b that is the whole ring.
func BetweenIncl(a, x, b ID) bool { return x == b || Between(a, x, b) }
