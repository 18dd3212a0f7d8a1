package wire

import (
	"encoding"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"dyschord/dht"
)

// shape is what the codec has found out about a type, so that a message need not be
// studied each time. The types of messages are few and plain; whatever has no shape
// is left to the CBOR library, which also decides about every body that is not in
// the one form this codec writes. So the shapes are only a short cut: both ways
// write the same bytes and read the same messages, and a fuzz test holds them to it.
type shape struct {
	sort   sort
	elem   *shape       // of a list, or behind a pointer
	typ    reflect.Type // behind a pointer
	fields []field      // of a struct, in the order of their keys
	array  bool         // a struct written as an array of its fields
}

type field struct {
	index int
	key   uint64
	omit  bool // omitempty
	*shape
}

// sort says how a value is written.
type sort uint8

const (
	sortUint sort = iota
	sortInt
	sortBool
	sortBytes
	sortText
	sortID
	sortPeer
	sortPeers
	sortList
	sortStruct
	sortPointer
)

var (
	typeID    = reflect.TypeFor[dht.ID]()
	typePeer  = reflect.TypeFor[dht.Peer]()
	typePeers = reflect.TypeFor[[]dht.Peer]()
	customs   = []reflect.Type{
		reflect.TypeFor[cbor.Marshaler](), reflect.TypeFor[cbor.Unmarshaler](),
		reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.BinaryUnmarshaler](),
	}
)

// shapeOf returns nil for a type that is left to the library.
func shapeOf(t reflect.Type, depth int) *shape {
	switch t {
	case typeID:
		return &shape{sort: sortID}
	case typePeer:
		return &shape{sort: sortPeer}
	case typePeers:
		return &shape{sort: sortPeers}
	}
	if depth >= maxNesting || slices.ContainsFunc(customs, func(c reflect.Type) bool {
		return t.Implements(c) || reflect.PointerTo(t).Implements(c)
	}) {
		return nil
	}
	switch t.Kind() {
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uint:
		return &shape{sort: sortUint}
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Int:
		return &shape{sort: sortInt}
	case reflect.Bool:
		return &shape{sort: sortBool}
	case reflect.String:
		return &shape{sort: sortText}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return bytesShape(t)
		}
		return wrap(sortList, t.Elem(), depth)
	case reflect.Pointer:
		if t.Elem().Kind() == reflect.Struct {
			return wrap(sortPointer, t.Elem(), depth)
		}
	case reflect.Struct:
		return structShape(t, depth)
	}
	return nil
}

func bytesShape(t reflect.Type) *shape {
	if t.Elem() == reflect.TypeFor[byte]() {
		return &shape{sort: sortBytes}
	}
	return nil
}

func wrap(s sort, elem reflect.Type, depth int) *shape {
	inner := shapeOf(elem, depth+1)
	if inner == nil {
		return nil
	}
	return &shape{sort: s, elem: inner, typ: elem}
}

// structShape takes structs with integer keys, and those written as arrays.
func structShape(t reflect.Type, depth int) *shape {
	s := &shape{sort: sortStruct}
	for i := range t.NumField() {
		f := t.Field(i)
		tag, tagged := f.Tag.Lookup("cbor")
		if f.Name == "_" && tag == ",toarray" {
			s.array = true
			continue
		}
		if tag == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		inner := shapeOf(f.Type, depth+1)
		if inner == nil || f.Anonymous || tagged == s.array {
			return nil
		}
		next := field{index: i, shape: inner}
		if !s.array && !next.parse(tag) {
			return nil
		}
		s.fields = append(s.fields, next)
	}
	if !s.array {
		slices.SortFunc(s.fields, func(a, b field) int { return int(a.key) - int(b.key) })
		for i := 1; i < len(s.fields); i++ {
			if s.fields[i].key == s.fields[i-1].key {
				return nil
			}
		}
	}
	return s
}

// parse reads a tag like 3,keyasint,omitempty.
func (f *field) parse(tag string) bool {
	key, options, _ := strings.Cut(tag, ",")
	n, err := strconv.ParseUint(key, 10, 16)
	f.key = n
	f.omit = options == "keyasint,omitempty"
	return err == nil && (f.omit || options == "keyasint")
}
