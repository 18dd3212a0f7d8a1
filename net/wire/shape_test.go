package wire

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dyschord/dht"
)

// zoo has all that a shape may contain.
type zoo struct {
	U8    uint8            `cbor:"1,keyasint"`
	U64   uint64           `cbor:"2,keyasint,omitempty"`
	I32   int32            `cbor:"3,keyasint"`
	I64   int64            `cbor:"4,keyasint,omitempty"`
	Yes   bool             `cbor:"5,keyasint,omitempty"`
	Text  string           `cbor:"6,keyasint"`
	Blob  []byte           `cbor:"7,keyasint"`
	Blobs [][]byte         `cbor:"8,keyasint,omitempty"`
	ID    dht.ID           `cbor:"9,keyasint,omitempty"`
	Peer  dht.Peer         `cbor:"10,keyasint,omitempty"`
	Peers []dht.Peer       `cbor:"300,keyasint"`
	Rows  []zooRow         `cbor:"25,keyasint,omitempty"`
	Inner zooInner         `cbor:"24,keyasint,omitempty"`
	Last  *zooInner        `cbor:"23,keyasint"`
	Maybe *zooInner        `cbor:"22,keyasint,omitempty"`
	Void  struct{}         `cbor:"21,keyasint,omitempty"`
	Bools []bool           `cbor:"20,keyasint,omitempty"`
	Skip  map[string]error `cbor:"-"`
	own   int              //nolint:unused // the codec must pass it over
}

type zooRow struct {
	_    struct{} `cbor:",toarray"`
	Key  []byte
	N    int16
	Peer dht.Peer
}

type zooInner struct {
	A uint16   `cbor:"1,keyasint,omitempty"`
	B []uint32 `cbor:"2,keyasint,omitempty"`
}

func (*zoo) Code() uint16             { return 400 }
func (*zoo) EachPeer(func(*dht.Peer)) {}

// plain is a type that is left to the library.
type plain struct {
	When  time.Time         `cbor:"1,keyasint"`
	Names map[string]uint64 `cbor:"2,keyasint"`
}

func (*plain) Code() uint16             { return 401 }
func (*plain) EachPeer(func(*dht.Peer)) {}

func zooCodec() *Codec {
	return NewCodec([]dht.Kind{
		{Code: 400, Name: "zoo", New: func() dht.Message { return new(zoo) }},
		{Code: 401, Name: "plain", New: func() dht.Message { return new(plain) }},
	})
}

func anyZoo(t *rapid.T) *zoo {
	blob := rapid.Custom(func(t *rapid.T) []byte { // nil and empty ones too
		if rapid.Bool().Draw(t, "nil") {
			return nil
		}
		return rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "bytes")
	})
	peer := rapid.Custom(func(t *rapid.T) dht.Peer {
		return dht.Peer{Ref: rapid.Uint32().Draw(t, "ref"), Inc: rapid.Uint32().Draw(t, "inc")}
	})
	inner := rapid.Custom(func(t *rapid.T) zooInner {
		return zooInner{A: rapid.Uint16().Draw(t, "a"), B: rapid.SliceOfN(rapid.Uint32(), 0, 3).Draw(t, "b")}
	})
	row := rapid.Custom(func(t *rapid.T) zooRow {
		return zooRow{Key: blob.Draw(t, "key"), N: rapid.Int16().Draw(t, "n"), Peer: peer.Draw(t, "peer")}
	})
	return &zoo{
		U8: rapid.Uint8().Draw(t, "u8"), U64: rapid.Uint64().Draw(t, "u64"),
		I32: rapid.Int32().Draw(t, "i32"), I64: rapid.Int64().Draw(t, "i64"),
		Yes: rapid.Bool().Draw(t, "yes"), Text: rapid.String().Draw(t, "text"),
		Blob: blob.Draw(t, "blob"), Blobs: rapid.SliceOfN(blob, 0, 3).Draw(t, "blobs"),
		ID:   dht.NewID(rapid.Uint64().Draw(t, "hi"), rapid.Uint64().Draw(t, "lo")),
		Peer: peer.Draw(t, "peer"), Peers: rapid.SliceOfN(peer, 0, 30).Draw(t, "peers"),
		Rows: rapid.SliceOfN(row, 0, 30).Draw(t, "rows"), Inner: inner.Draw(t, "inner"),
		Last: rapid.Ptr(inner, true).Draw(t, "last"), Maybe: rapid.Ptr(inner, true).Draw(t, "maybe"),
		Bools: rapid.SliceOfN(rapid.Bool(), 0, 3).Draw(t, "bools"),
	}
}

func TestShapesWriteWhatTheLibraryWrites(t *testing.T) {
	c := zooCodec()
	if c.shapes[400] == nil || c.shapes[401] != nil {
		t.Fatalf("shapes %v", c.shapes)
	}
	k, _ := c.Kind(400)
	rapid.Check(t, func(t *rapid.T) {
		m := anyZoo(t)
		quick, err := c.Append([]byte("x"), m)
		if err != nil {
			t.Fatal(err)
		}
		slow, err := c.appendAny([]byte("x"), k, m)
		if err != nil || !bytes.Equal(quick, slow) {
			t.Fatalf("%x, the library writes %x (%v)", quick, slow, err)
		}
		got, want := new(zoo), new(zoo)
		at := cursor{quick[1:]}
		if !c.shapes[400].read(&at, reflect.ValueOf(got).Elem()) || len(at.b) != 0 {
			t.Fatalf("%x was not read", quick[1:])
		}
		if err := c.dec.Unmarshal(quick[1:], want); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("read %+v, the library reads %+v (%v)", got, want, err)
		}
	})
}

func TestWhatHasNoShapeIsLeftToTheLibrary(t *testing.T) {
	sent := &plain{When: time.Unix(5, 0).UTC(), Names: map[string]uint64{"b": 2, "a": 1}}
	c := zooCodec()
	body, err := c.Append(nil, sent)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Decode(401, body); err != nil || !reflect.DeepEqual(got.(*plain).Names, sent.Names) {
		t.Errorf("%+v, %v", got, err)
	}
	for name, v := range map[string]any{
		"a key twice": struct {
			A int `cbor:"1,keyasint"`
			B int `cbor:"1,keyasint"`
		}{},
		"a text key": struct {
			A int `cbor:"a"`
		}{},
		"another option": struct {
			A int `cbor:"1,keyasint,omitzero"`
		}{},
		"an embedded struct": struct{ zooInner }{},
		"a float": struct {
			A float64 `cbor:"1,keyasint"`
		}{},
	} {
		if s := shapeOf(reflect.TypeOf(v), 0); s != nil {
			t.Errorf("%s was given a shape", name)
		}
	}
}

// FuzzShape holds both ways to read a body to the same outcome.
func FuzzShape(f *testing.F) {
	c := zooCodec()
	k, _ := c.Kind(400)
	for i := range 20 {
		body, err := c.Append(nil, rapid.Custom(anyZoo).Example(i))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		quick, quickErr := c.Decode(400, body)
		slow, slowErr := c.decodeAny(k, body)
		if (quickErr == nil) != (slowErr == nil) || quickErr == nil && !reflect.DeepEqual(quick, slow) {
			t.Fatalf("read %+v, %v\nthe library reads %+v, %v", quick, quickErr, slow, slowErr)
		}
		if quickErr != nil && !errors.Is(quickErr, dht.ErrMalformed) {
			t.Fatalf("error without code: %v", quickErr)
		}
	})
}
