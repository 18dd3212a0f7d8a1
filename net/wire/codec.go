package wire

import (
	"bytes"
	"fmt"
	"reflect"
	"sync"

	"github.com/fxamacker/cbor/v2"

	"dyschord/dht"
)

// Limits on what one body may make the decoder build. They hold for every message,
// whatever its type asks for.
const (
	maxNesting = 8       // levels of arrays and maps
	maxList    = 1 << 14 // elements of one list; the most compact ones fill a routing message with these
	maxMap     = 1 << 10 // entries of one map
)

// Codec turns messages into CBOR bodies (RFC 8949) and back. It knows the message
// types it was made with and is safe for concurrent use.
type Codec struct {
	kinds   map[uint16]dht.Kind
	weights map[uint16]weigher
	shapes  map[uint16]*shape // nil for types that are left to the library
	enc     cbor.UserBufferEncMode
	dec     cbor.DecMode
	buffers sync.Pool // of *bytes.Buffer, which lend their methods to the caller's slice
}

// NewCodec makes a codec for kinds. Two kinds with one code, one without New or one
// with the code 0 are a mistake in the program and panic.
func NewCodec(kinds []dht.Kind) *Codec {
	c := &Codec{
		kinds:   make(map[uint16]dht.Kind, len(kinds)),
		weights: make(map[uint16]weigher, len(kinds)),
		shapes:  make(map[uint16]*shape, len(kinds)),
		buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }},
	}
	for _, k := range kinds {
		if other, taken := c.kinds[k.Code]; taken {
			panic(fmt.Sprintf("wire: %s and %s have one code, %d", other.Name, k.Name, k.Code))
		}
		if k.New == nil || k.Code == 0 {
			panic(fmt.Sprintf("wire: %s has no New, or the code 0", k.Name))
		}
		c.kinds[k.Code] = k
		m := k.New()
		c.weights[k.Code] = weigherOf(m)
		if t := reflect.TypeOf(m); t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
			c.shapes[k.Code] = shapeOf(t.Elem(), 0)
		}
	}
	c.enc, c.dec = modes()
	return c
}

// modes are the CBOR rules of this format: definite lengths, no tags, sorted maps.
func modes() (cbor.UserBufferEncMode, cbor.DecMode) {
	encoding := cbor.CoreDetEncOptions()
	encoding.TagsMd = cbor.TagsForbidden
	enc, err := encoding.UserBufferEncMode()
	if err != nil {
		panic(fmt.Sprintf("wire: encoder options: %v", err))
	}
	dec, err := cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		TagsMd:           cbor.TagsForbidden,
		MaxNestedLevels:  maxNesting,
		MaxArrayElements: maxList,
		MaxMapPairs:      maxMap,
	}.DecMode()
	if err != nil {
		panic(fmt.Sprintf("wire: decoder options: %v", err))
	}
	return enc, dec
}

// Kind returns what is known of a message type.
func (c *Codec) Kind(code uint16) (dht.Kind, bool) {
	k, ok := c.kinds[code]
	return k, ok
}

// Append writes the body of m behind dst and returns the longer slice. m is only
// read. On an error dst is returned as it was.
func (c *Codec) Append(dst []byte, m dht.Message) ([]byte, error) {
	k, known := c.kinds[m.Code()]
	if !known {
		return dst, fmt.Errorf("wire: encode message %d: %w", m.Code(), dht.ErrUnknownMessage)
	}
	if s := c.shapes[k.Code]; s != nil {
		return s.append(dst, reflect.ValueOf(m).Elem()), nil
	}
	return c.appendAny(dst, k, m)
}

// appendAny is Append by the library.
func (c *Codec) appendAny(dst []byte, k dht.Kind, m dht.Message) ([]byte, error) {
	buf := c.buffers.Get().(*bytes.Buffer)
	*buf = *bytes.NewBuffer(dst)
	err := c.enc.MarshalToBuffer(m, buf)
	out := buf.Bytes()
	*buf = bytes.Buffer{}
	c.buffers.Put(buf)
	if err != nil {
		return dst, fmt.Errorf("wire: encode %s: %w", k.Name, err)
	}
	return out, nil
}

// Decode reads a body into a new message of the type that code names. The message
// shares no memory with body. Its Peers still hold what the sender wrote
// ([Codec.DecodePayload] translates them). An unknown code is dht.ErrUnknownMessage,
// a body that breaks the rules dht.ErrMalformed; fields the type lacks are passed over.
func (c *Codec) Decode(code uint16, body []byte) (dht.Message, error) {
	k, known := c.kinds[code]
	if !known {
		return nil, fmt.Errorf("wire: decode message %d: %w", code, dht.ErrUnknownMessage)
	}
	if s := c.shapes[code]; s != nil {
		m := k.New()
		at := cursor{body}
		if s.read(&at, reflect.ValueOf(m).Elem()) && len(at.b) == 0 {
			return m, nil
		}
	}
	return c.decodeAny(k, body)
}

// decodeAny is Decode by the library.
func (c *Codec) decodeAny(k dht.Kind, body []byte) (dht.Message, error) {
	m := k.New()
	if err := c.dec.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("wire: decode %s: %w: %w", k.Name, dht.ErrMalformed, err)
	}
	return m, nil
}

// Weight estimates the memory that m holds, in bytes: within a small factor of its
// encoded size, without encoding it. Send queues are bounded by it.
func (c *Codec) Weight(m dht.Message) int { return c.weights[m.Code()].weigh(m) }
