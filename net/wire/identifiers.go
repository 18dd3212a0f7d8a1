package wire

import (
	"reflect"
	"strings"

	"dyschord/dht"
)

// Identifiers counts the identifiers that m carries: peers and plain ones, wherever
// they stand in its body. Fields marked omitempty that are zero do not count.
// Comparisons with systems that state their traffic in messages and identifiers need
// it; what a message really costs is the length of its frame.
func Identifiers(m dht.Message) int {
	v := reflect.ValueOf(m)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	return identifiers(v, 0)
}

func identifiers(v reflect.Value, depth int) int {
	if depth > maxNesting {
		return 0
	}
	sum := 0
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return identifiers(v.Elem(), depth+1)
		}
	case reflect.Slice, reflect.Array:
		if t := v.Type(); t == typePeers {
			return v.Len()
		} else if t.Elem().Kind() < reflect.Array { // plain numbers
			return 0
		}
		for i := range v.Len() {
			sum += identifiers(v.Index(i), depth+1)
		}
	case reflect.Struct:
		if t := v.Type(); t == typeID || t == typePeer {
			return 1
		}
		for i := range v.NumField() {
			sum += fieldIdentifiers(v.Type().Field(i), v.Field(i), depth+1)
		}
	}
	return sum
}

// fieldIdentifiers counts those of a field, if it is sent.
func fieldIdentifiers(f reflect.StructField, v reflect.Value, depth int) int {
	tag := f.Tag.Get("cbor")
	if tag == "-" || !f.IsExported() || strings.HasSuffix(tag, ",omitempty") && v.IsZero() {
		return 0
	}
	return identifiers(v, depth)
}
