package wire

import (
	"encoding/binary"
	"reflect"

	"dyschord/dht"
)

// Major types of CBOR, in the high bits of a head, and its simple values.
const (
	majorUint   = 0 << 5
	majorNegint = 1 << 5
	majorBytes  = 2 << 5
	majorText   = 3 << 5
	majorList   = 4 << 5
	majorMap    = 5 << 5

	cborFalse = 0xf4
	cborTrue  = 0xf5
	cborNull  = 0xf6
)

// appendHead writes a head in its shortest form.
func appendHead(dst []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(dst, major|byte(n))
	case n < 1<<8:
		return append(dst, major|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, major|25), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(dst, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, major|27), n)
}

// append writes v, which can be addressed, behind dst.
func (s *shape) append(dst []byte, v reflect.Value) []byte {
	switch s.sort {
	case sortUint:
		return appendHead(dst, majorUint, v.Uint())
	case sortInt:
		if n := v.Int(); n < 0 {
			return appendHead(dst, majorNegint, uint64(-1-n))
		}
		return appendHead(dst, majorUint, uint64(v.Int()))
	case sortBool:
		if v.Bool() {
			return append(dst, cborTrue)
		}
		return append(dst, cborFalse)
	case sortText:
		return append(appendHead(dst, majorText, uint64(v.Len())), v.String()...)
	case sortID:
		return appendID(dst, v.Addr().Interface().(*dht.ID))
	case sortPeer:
		return appendPeer(dst, v.Addr().Interface().(*dht.Peer))
	case sortStruct:
		return s.appendStruct(dst, v)
	}
	if v.IsNil() {
		return append(dst, cborNull)
	}
	switch s.sort {
	case sortBytes:
		return append(appendHead(dst, majorBytes, uint64(v.Len())), v.Bytes()...)
	case sortPeers:
		peers := *v.Addr().Interface().(*[]dht.Peer)
		dst = appendHead(dst, majorList, uint64(len(peers)))
		for i := range peers {
			dst = appendPeer(dst, &peers[i])
		}
	case sortPointer:
		return s.elem.append(dst, v.Elem())
	case sortList:
		dst = appendHead(dst, majorList, uint64(v.Len()))
		for i := range v.Len() {
			dst = s.elem.append(dst, v.Index(i))
		}
	}
	return dst
}

func (s *shape) appendStruct(dst []byte, v reflect.Value) []byte {
	if s.array {
		dst = appendHead(dst, majorList, uint64(len(s.fields)))
		for i := range s.fields {
			dst = s.fields[i].append(dst, v.Field(s.fields[i].index))
		}
		return dst
	}
	start, written := len(dst), 0
	dst = append(dst, majorMap) // for fewer than 24 fields: one byte
	if len(s.fields) >= 24 {
		for i := range s.fields {
			if f := &s.fields[i]; !f.omit || !f.empty(v.Field(f.index)) {
				written++
			}
		}
		dst = appendHead(dst[:start], majorMap, uint64(written))
	}
	written = 0
	for i := range s.fields {
		f := &s.fields[i]
		fv := v.Field(f.index)
		if f.omit && f.empty(fv) {
			continue
		}
		written++
		dst = f.append(appendHead(dst, majorUint, f.key), fv)
	}
	if len(s.fields) < 24 {
		dst[start] = majorMap | byte(written)
	}
	return dst
}

// empty says whether omitempty leaves v out.
func (s *shape) empty(v reflect.Value) bool {
	switch s.sort {
	case sortUint:
		return v.Uint() == 0
	case sortInt:
		return v.Int() == 0
	case sortBool:
		return !v.Bool()
	case sortPointer:
		return v.IsNil()
	case sortID, sortPeer:
		return false
	case sortStruct:
		return s.emptyStruct(v)
	}
	return v.Len() == 0
}

func (s *shape) emptyStruct(v reflect.Value) bool {
	for i := range s.fields {
		if f := &s.fields[i]; s.array || !f.omit || !f.empty(v.Field(f.index)) {
			return false
		}
	}
	return true
}

func appendID(dst []byte, id *dht.ID) []byte {
	dst = append(dst, majorBytes|16)
	dst = binary.BigEndian.AppendUint64(dst, id.Hi())
	return binary.BigEndian.AppendUint64(dst, id.Lo())
}

func appendPeer(dst []byte, p *dht.Peer) []byte {
	if p.Inc == 0 {
		return appendHead(append(dst, majorMap|1, 1), majorUint, uint64(p.Ref))
	}
	dst = appendHead(append(dst, majorMap|2, 1), majorUint, uint64(p.Ref))
	return appendHead(append(dst, 2), majorUint, uint64(p.Inc))
}
