package wire

import (
	"reflect"

	"dyschord/dht"
)

// weigher measures messages of one type. The type is studied once; a message whose
// type holds no slices, strings or maps then costs nothing to weigh.
type weigher struct {
	fixed int // size of the struct itself
	vary  bool
}

func weigherOf(m dht.Message) weigher {
	t := reflect.TypeOf(m)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return weigher{fixed: int(t.Size()), vary: varies(t, 0)}
}

func (w weigher) weigh(m dht.Message) int {
	if !w.vary {
		return w.fixed
	}
	v := reflect.ValueOf(m)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	return w.fixed + held(v)
}

// varies says whether values of t hold memory outside themselves. Types nested
// deeper than any body may be are taken to do so.
func varies(t reflect.Type, depth int) bool {
	if depth > maxNesting {
		return true
	}
	switch t.Kind() {
	case reflect.Slice, reflect.String, reflect.Map, reflect.Pointer, reflect.Interface:
		return true
	case reflect.Array:
		return varies(t.Elem(), depth+1)
	case reflect.Struct:
		for i := range t.NumField() {
			if varies(t.Field(i).Type, depth+1) {
				return true
			}
		}
	}
	return false
}

// held adds up the memory that v refers to, its own not counted.
func held(v reflect.Value) int {
	switch v.Kind() {
	case reflect.String:
		return v.Len()
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return 0
		}
		return int(v.Elem().Type().Size()) + held(v.Elem())
	case reflect.Slice:
		return v.Len()*int(v.Type().Elem().Size()) + heldByElements(v)
	case reflect.Array:
		return heldByElements(v)
	case reflect.Map:
		return heldByEntries(v)
	case reflect.Struct:
		sum := 0
		for i := range v.NumField() {
			sum += held(v.Field(i))
		}
		return sum
	}
	return 0
}

func heldByElements(v reflect.Value) int {
	if !varies(v.Type().Elem(), 0) {
		return 0
	}
	sum := 0
	for i := range v.Len() {
		sum += held(v.Index(i))
	}
	return sum
}

func heldByEntries(v reflect.Value) int {
	sum := v.Len() * int(v.Type().Key().Size()+v.Type().Elem().Size())
	for it := v.MapRange(); it.Next(); {
		sum += held(it.Key()) + held(it.Value())
	}
	return sum
}
