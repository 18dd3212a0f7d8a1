package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"dyschord/dht"
)

// probe has a field of each sort that messages use.
type probe struct {
	Num   uint64     `cbor:"1,keyasint,omitempty"`
	Key   dht.ID     `cbor:"2,keyasint"`
	Peer  dht.Peer   `cbor:"3,keyasint,omitempty"`
	Peers []dht.Peer `cbor:"4,keyasint,omitempty"`
	Data  []byte     `cbor:"5,keyasint,omitempty"`
	Text  string     `cbor:"6,keyasint,omitempty"`
	List  []probeRow `cbor:"7,keyasint,omitempty"`
}

type probeRow struct {
	_    struct{} `cbor:",toarray"`
	Key  []byte
	Flag bool
}

func (*probe) Code() uint16 { return 300 }
func (p *probe) EachPeer(f func(*dht.Peer)) {
	f(&p.Peer)
	for i := range p.Peers {
		f(&p.Peers[i])
	}
}

// small is a message of the routing codes.
type small struct {
	Num  uint64 `cbor:"1,keyasint,omitempty"`
	Data []byte `cbor:"2,keyasint,omitempty"`
}

func (*small) Code() uint16             { return 20 }
func (*small) EachPeer(func(*dht.Peer)) {}

func testKinds() []dht.Kind {
	return []dht.Kind{
		{Code: 300, Name: "probe", New: func() dht.Message { return new(probe) }, Data: true},
		{Code: 20, Name: "small", New: func() dht.Message { return new(small) }},
	}
}

func fullProbe() *probe {
	return &probe{
		Num:   7,
		Key:   dht.NewID(0x0102030405060708, 0x090a0b0c0d0e0f10),
		Peer:  dht.Peer{ID: dht.NewID(9, 9), Ref: 3, Inc: 2},
		Peers: []dht.Peer{{Ref: 1}, {}, {Ref: 500, Inc: 70000}},
		Data:  []byte{0xde, 0xad},
		Text:  "héllo",
		List:  []probeRow{{Key: []byte("k"), Flag: true}},
	}
}

func TestBodyRoundTrip(t *testing.T) {
	c := NewCodec(testKinds())
	sent := fullProbe()
	body, err := c.Append([]byte("before"), sent)
	if err != nil || !bytes.HasPrefix(body, []byte("before")) {
		t.Fatalf("Append: %x, %v", body, err)
	}
	got, err := c.Decode(300, body[len("before"):])
	if err != nil {
		t.Fatal(err)
	}
	want := fullProbe()
	want.Peer.ID = dht.ID{} // identifiers are never sent
	if !reflect.DeepEqual(got, want) {
		t.Errorf("sent %+v\n got %+v", want, got)
	}
	if !reflect.DeepEqual(sent, fullProbe()) {
		t.Error("encoding changed the message")
	}
}

// TestBodyFormat pins the bytes of a body: a change breaks nodes of other versions.
func TestBodyFormat(t *testing.T) {
	const want = "a701070250" + "0102030405060708090a0b0c0d0e0f10" + "03a201030202" +
		"0483a10101a10100a2011901f4021a00011170" + "0542dead" + "066668c3a96c6c6f" + "0781" + "82416bf5"
	body, err := NewCodec(testKinds()).Append(nil, fullProbe())
	if err != nil || hex.EncodeToString(body) != want {
		t.Errorf("body %x\nwant %s (%v)", body, want, err)
	}
}

func TestUnknownFieldsArePassedOver(t *testing.T) {
	// {1: 5, 99: [1, {2: "x"}]}
	m, err := NewCodec(testKinds()).Decode(20, []byte{0xa2, 0x01, 0x05, 0x18, 99, 0x82, 0x01, 0xa1, 0x02, 0x61, 'x'})
	if err != nil || m.(*small).Num != 5 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestUnknownMessages(t *testing.T) {
	c := NewCodec(testKinds()[:1])
	if _, err := c.Decode(20, []byte{0xa0}); !errors.Is(err, dht.ErrUnknownMessage) {
		t.Errorf("decoding an unknown code: %v", err)
	}
	if _, err := c.Append(nil, &small{}); !errors.Is(err, dht.ErrUnknownMessage) {
		t.Errorf("encoding an unknown code: %v", err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	c := NewCodec(testKinds())
	deep := append(bytes.Repeat([]byte{0x81}, maxNesting+1), 0x01)
	for name, body := range map[string]string{
		"nothing":               "",
		"an array":              "80",
		"trailing bytes":        "a000",
		"a cut body":            "a101",
		"an indefinite map":     "bf0105ff",
		"a tag":                 "a101c105",
		"a field twice":         "a201050106",
		"a wrong type":          "a101" + "6161",
		"a list beyond limit":   "a1049a00010000" + strings.Repeat("a0", 1<<16),
		"a list beyond its end": "a1049affffffff",
		"bytes beyond the end":  "a1055affffffff00",
		"nesting beyond limit":  "a11863" + hex.EncodeToString(deep),
		"a short identifier":    "a1024101",
		"text that is no text":  "a10661ff",
	} {
		raw, err := hex.DecodeString(body)
		if err != nil {
			t.Fatal(name, err)
		}
		if m, err := c.Decode(300, raw); !errors.Is(err, dht.ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

func TestMistakesInKindsPanic(t *testing.T) {
	message := func() dht.Message { return new(small) }
	for name, kinds := range map[string][]dht.Kind{
		"two kinds with one code": append(testKinds(), testKinds()...),
		"the probe's code":        {{Name: "zero", New: message}},
		"no New":                  {{Name: "none", Code: 20}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: accepted", name)
				}
			}()
			NewCodec(kinds)
		}()
	}
}

func TestWeightFollowsSize(t *testing.T) {
	c := NewCodec(testKinds())
	for _, m := range []dht.Message{
		&small{},
		&small{Data: make([]byte, 100_000)},
		&probe{Text: strings.Repeat("x", 50_000)},
		&probe{List: []probeRow{{Key: make([]byte, 70_000)}, {Key: make([]byte, 3_000)}}},
		&probe{Peers: make([]dht.Peer, 128)},
	} {
		body, err := c.Append(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		if w := c.Weight(m); w < len(body) || w > 16*len(body)+256 {
			t.Errorf("weight %d of %d encoded bytes", w, len(body))
		}
	}
}

func FuzzDecode(f *testing.F) {
	c := NewCodec(testKinds())
	body, err := c.Append(nil, fullProbe())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint16(300), body)
	f.Add(uint16(20), []byte{0xa1, 0x01, 0x05})
	f.Fuzz(func(t *testing.T, code uint16, body []byte) {
		m, err := c.Decode(code, body)
		if err != nil {
			if !errors.Is(err, dht.ErrMalformed) && !errors.Is(err, dht.ErrUnknownMessage) {
				t.Fatalf("uncoded error %v", err)
			}
			return
		}
		again, err := c.Append(nil, m)
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
		back, err := c.Decode(code, again)
		if err != nil {
			t.Fatalf("what was encoded cannot be decoded: %v", err)
		}
		if third, err := c.Append(nil, back); err != nil || !bytes.Equal(again, third) {
			t.Fatalf("%x was encoded again as %x, %v", again, third, err)
		}
	})
}
