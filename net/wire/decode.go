package wire

import (
	"encoding/binary"
	"math"
	"reflect"
	"unicode/utf8"

	"dyschord/dht"
)

// cursor reads a body in exactly the form that shape.append writes. It gives up at
// anything else, right or wrong: the library then reads the body from its start.
type cursor struct{ b []byte }

// head reads a head of that major type in its shortest form.
func (c *cursor) head(major byte) (n uint64, ok bool) {
	if len(c.b) == 0 || c.b[0]&0xe0 != major {
		return 0, false
	}
	n = uint64(c.b[0] & 0x1f)
	if n < 24 {
		c.b = c.b[1:]
		return n, true
	}
	size := 1 << (n - 24) // 1, 2, 4 or 8 bytes
	if n > 27 || len(c.b) < 1+size {
		return 0, false
	}
	rest := c.b[1:]
	least := uint64(24)
	switch size {
	case 1:
		n = uint64(rest[0])
	case 2:
		n, least = uint64(binary.BigEndian.Uint16(rest)), 1<<8
	case 4:
		n, least = uint64(binary.BigEndian.Uint32(rest)), 1<<16
	default:
		n, least = binary.BigEndian.Uint64(rest), 1<<32
	}
	c.b = rest[size:]
	return n, n >= least
}

// bytes reads a string of that major type. It shares memory with the body.
func (c *cursor) bytes(major byte) ([]byte, bool) {
	n, ok := c.head(major)
	if !ok || n > uint64(len(c.b)) {
		return nil, false
	}
	s := c.b[:n]
	c.b = c.b[n:]
	return s, true
}

// list reads the length of a list, whose elements take a byte each at least.
func (c *cursor) list() (int, bool) {
	n, ok := c.head(majorList)
	return int(n), ok && n <= maxList && n <= uint64(len(c.b))
}

func (c *cursor) null() bool {
	if len(c.b) > 0 && c.b[0] == cborNull {
		c.b = c.b[1:]
		return true
	}
	return false
}

// read reads into v, which is zero and can be set.
func (s *shape) read(c *cursor, v reflect.Value) bool {
	switch s.sort {
	case sortUint:
		n, ok := c.head(majorUint)
		if !ok || v.OverflowUint(n) {
			return false
		}
		v.SetUint(n)
		return true
	case sortInt:
		return readInt(c, v)
	case sortBool:
		return readBool(c, v)
	case sortText:
		text, ok := c.bytes(majorText)
		if !ok || !utf8.Valid(text) {
			return false
		}
		v.SetString(string(text))
		return true
	case sortID:
		return readID(c, v.Addr().Interface().(*dht.ID))
	case sortPeer:
		return readPeer(c, v.Addr().Interface().(*dht.Peer))
	case sortStruct:
		return s.readStruct(c, v)
	}
	return c.null() || s.readBehind(c, v)
}

// readBehind reads what lies behind a slice or a pointer.
func (s *shape) readBehind(c *cursor, v reflect.Value) bool {
	switch s.sort {
	case sortBytes:
		b, ok := c.bytes(majorBytes)
		if ok {
			v.SetBytes(append(make([]byte, 0, len(b)), b...))
		}
		return ok
	case sortPointer:
		target := reflect.New(s.typ)
		v.Set(target)
		return s.elem.read(c, target.Elem())
	}
	n, ok := c.list()
	if !ok {
		return false
	}
	if s.sort == sortPeers {
		peers := make([]dht.Peer, n)
		*v.Addr().Interface().(*[]dht.Peer) = peers
		for i := range peers {
			if !readPeer(c, &peers[i]) {
				return false
			}
		}
		return true
	}
	v.Set(reflect.MakeSlice(v.Type(), n, n))
	for i := range n {
		if !s.elem.read(c, v.Index(i)) {
			return false
		}
	}
	return true
}

// readStruct takes the fields it knows, in the order of their keys.
func (s *shape) readStruct(c *cursor, v reflect.Value) bool {
	if s.array {
		n, ok := c.list()
		if !ok || n != len(s.fields) {
			return false
		}
		for i := range s.fields {
			if !s.fields[i].read(c, v.Field(s.fields[i].index)) {
				return false
			}
		}
		return true
	}
	n, ok := c.head(majorMap)
	if !ok || n > uint64(len(s.fields)) {
		return false
	}
	next := 0
	for range n {
		key, ok := c.head(majorUint)
		for next < len(s.fields) && s.fields[next].key < key {
			next++
		}
		if !ok || next == len(s.fields) || s.fields[next].key != key {
			return false
		}
		if !s.fields[next].read(c, v.Field(s.fields[next].index)) {
			return false
		}
		next++
	}
	return true
}

func readInt(c *cursor, v reflect.Value) bool {
	if len(c.b) == 0 {
		return false
	}
	major := c.b[0] & 0xe0
	if major != majorUint && major != majorNegint {
		return false
	}
	n, ok := c.head(major)
	if !ok || n > math.MaxInt64 {
		return false
	}
	value := int64(n)
	if major == majorNegint {
		value = -1 - value
	}
	if v.OverflowInt(value) {
		return false
	}
	v.SetInt(value)
	return true
}

func readBool(c *cursor, v reflect.Value) bool {
	if len(c.b) == 0 || c.b[0] != cborFalse && c.b[0] != cborTrue {
		return false
	}
	v.SetBool(c.b[0] == cborTrue)
	c.b = c.b[1:]
	return true
}

func readID(c *cursor, id *dht.ID) bool {
	b, ok := c.bytes(majorBytes)
	if !ok || len(b) != 16 {
		return false
	}
	*id = dht.NewID(binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]))
	return true
}

func readPeer(c *cursor, p *dht.Peer) bool {
	fields, ok := c.head(majorMap)
	if !ok || fields == 0 || fields > 2 {
		return false
	}
	if p.Ref, ok = c.field32(1); !ok || fields == 1 {
		return ok
	}
	p.Inc, ok = c.field32(2)
	return ok
}

// field32 reads a key and a number of 32 bits.
func (c *cursor) field32(key byte) (uint32, bool) {
	if len(c.b) == 0 || c.b[0] != key {
		return 0, false
	}
	c.b = c.b[1:]
	n, ok := c.head(majorUint)
	return uint32(n), ok && n <= math.MaxUint32
}
