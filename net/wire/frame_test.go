package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"dyschord/dht"
)

// frames cuts a stream into frames.
func frames(t testing.TB, b []byte) []Frame {
	var all []Frame
	for len(b) > 0 {
		n, err := FrameLen(b)
		if err != nil {
			t.Fatal(err)
		}
		f, err := ParseFrame(b[LengthSize : LengthSize+n])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
		b = b[LengthSize+n:]
	}
	return all
}

func TestFrameRoundTrip(t *testing.T) {
	h := Header{Request, 0xdeadbeef, 300}
	stream, err := wholeFrame(NewCodec(testKinds()), h, fullProbe())
	if err != nil {
		t.Fatal(err)
	}
	got := frames(t, stream)
	if len(got) != 1 || got[0].Header != h || !got[0].First || got[0].More || got[0].Total != len(got[0].Data) {
		t.Fatalf("%+v", got)
	}
	if !bytes.Equal(got[0].Data, Payload(stream, 0)) {
		t.Error("the payload changed")
	}
}

func TestLongMessagesTravelInFragments(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{1, MinRoom, 5000, MaxFrame, 3 * MaxFrame, 1 << 20} {
		payload := make([]byte, size)
		for i := range payload {
			payload[i] = byte(rng.Uint32())
		}
		h := Header{Reply, 9, 300}
		out := NewFragments(h, payload)
		in := NewCodec(testKinds()).Assembler(MaxData(1 << 20))
		for last := false; !last; {
			var b []byte
			room := MinRoom + rng.IntN(MaxFrame-MinRoom+1)
			if b, last = out.Append(nil, room); len(b) > room {
				t.Fatalf("a fragment of %d bytes for a room of %d", len(b), room)
			}
			m, whole, err := in.Add(frames(t, b)[0])
			if err != nil || whole != last {
				t.Fatalf("size %d: whole %v, last %v, %v", size, whole, last, err)
			}
			if whole && (m.Header != h || !bytes.Equal(m.Data, payload)) {
				t.Fatalf("size %d: came back as %+v with %d bytes", size, m.Header, len(m.Data))
			}
		}
	}
}

func TestSmallMessagesPassBetweenFragments(t *testing.T) {
	out := NewFragments(Header{Request, 1, 300}, make([]byte, 10_000))
	in := NewCodec(testKinds()).Assembler(MaxData(1 << 20))
	first, _ := out.Append(nil, MinRoom)
	if _, whole, err := in.Add(frames(t, first)[0]); whole || err != nil {
		t.Fatal(whole, err)
	}
	if h, open := in.Partial(); !open || h.ID != 1 {
		t.Errorf("partial message %+v, %v", h, open)
	}
	small := AppendFailure(nil, 2, dht.ErrBusy)
	if m, whole, err := in.Add(frames(t, small)[0]); !whole || err != nil || !errors.Is(DecodeFailure(m), dht.ErrBusy) {
		t.Errorf("between fragments: %+v %v %v", m, whole, err)
	}
	rest, _ := out.Append(nil, MaxFrame)
	if m, whole, err := in.Add(frames(t, rest)[0]); !whole || err != nil || len(m.Data) != 10_000 {
		t.Errorf("%v %v, %d bytes", whole, err, len(m.Data))
	}
}

func TestFrameLengths(t *testing.T) {
	for n, ok := range map[uint16]bool{0: false, 4: false, 5: true, MaxFrame - 2: true, MaxFrame - 1: false, 65535: false} {
		if _, err := FrameLen(binary.BigEndian.AppendUint16(nil, n)); (err == nil) != ok {
			t.Errorf("length %d: %v", n, err)
		}
	}
	b := append(BeginFrame(nil), make([]byte, MaxFrame-frameHead)...)
	if !EndFrame(b, 0, Header{Type: Request}) {
		t.Error("a payload that just fits was refused")
	}
	if EndFrame(append(b, 0), 0, Header{Type: Request}) {
		t.Error("a payload one byte too long was accepted")
	}
}

func TestAssemblerRefuses(t *testing.T) {
	head := func(more bool, total, have int) Frame {
		return Frame{Header: Header{Request, 1, 300}, First: true, More: more, Total: total, Data: make([]byte, have)}
	}
	next := func(id uint32, more bool, have int) Frame {
		return Frame{Header: Header{Type: Request, ID: id}, More: more, Data: make([]byte, have)}
	}
	routing := head(false, MaxRouting+1, MaxRouting+1)
	routing.Code = 20
	text := head(false, MaxErrorText+1, MaxErrorText+1)
	text.Type = Failure
	for name, stream := range map[string][]Frame{
		"a payload beyond the limit":     {head(true, 1<<20+DataRoom+1, 10)},
		"a long routing message":         {routing},
		"a long error":                   {text},
		"two messages in fragments":      {head(true, 100, 10), head(true, 100, 10)},
		"a fragment of no message":       {next(1, false, 10)},
		"a fragment of another message":  {head(true, 100, 10), next(2, false, 90)},
		"more bytes than were announced": {head(true, 100, 10), next(1, false, 91)},
		"fewer bytes than announced":     {head(true, 100, 10), next(1, false, 89)},
		"more after the last byte":       {head(true, 100, 10), next(1, true, 90)},
		"an empty fragment":              {head(true, 100, 10), next(1, true, 0)},
	} {
		in := NewCodec(testKinds()).Assembler(MaxData(1 << 20))
		var err error
		for i, f := range stream {
			if _, _, err = in.Add(f); err != nil && i < len(stream)-1 {
				t.Errorf("%s: frame %d: %v", name, i, err)
			}
		}
		if !errors.Is(err, dht.ErrMalformed) {
			t.Errorf("%s was accepted: %v", name, err)
		}
	}
}

func TestAnnouncedSizeIsNotAllocated(t *testing.T) {
	in := NewCodec(testKinds()).Assembler(MaxData(1 << 30))
	f := Frame{Header: Header{Request, 1, 300}, First: true, More: true, Total: 1 << 30, Data: []byte{1}}
	if _, _, err := in.Add(f); err != nil || cap(in.part.Data) > 4*MaxFrame {
		t.Errorf("one byte of a gigabyte took %d bytes (%v)", cap(in.part.Data), err)
	}
}

func TestPeersAreTranslated(t *testing.T) {
	c := NewCodec(testKinds())
	sent := &probe{Peer: dht.Peer{Ref: 3, Inc: 2}, Peers: []dht.Peer{{Ref: 1}, {}, {Ref: 3}, {Ref: 500, Inc: 7}}}
	payload, err := c.AppendPayload(nil, sent, testRecord)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	m, err := c.DecodePayload(300, payload, func(record []byte) (dht.Peer, error) {
		seen[string(record)]++
		ref := uint32(1000 - len(seen))
		return dht.Peer{ID: dht.NewID(0, uint64(ref)), Ref: ref}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	local := func(ref, inc uint32) dht.Peer { return dht.Peer{ID: dht.NewID(0, uint64(ref)), Ref: ref, Inc: inc} }
	want := &probe{Peer: local(999, 2), Peers: []dht.Peer{local(998, 0), {}, local(999, 0), local(997, 7)}}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got %+v\nwant %+v", m, want)
	}
	if !reflect.DeepEqual(seen, map[string]int{"record of 3": 1, "record of 1": 1, "record of 500": 1}) {
		t.Errorf("interned %v", seen)
	}
}

func TestAPeerWithoutContactIsMalformed(t *testing.T) {
	c := NewCodec(testKinds())
	if _, err := c.AppendPayload(nil, &probe{Peer: dht.Peer{Ref: 1001}}, testRecord); err == nil {
		t.Error("a peer that is not known was sent")
	}
	body, err := c.Append([]byte{0}, &probe{Peer: dht.Peer{Ref: 3}}) // a table of none
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.DecodePayload(300, body, nil); !errors.Is(err, dht.ErrMalformed) {
		t.Errorf("a Ref that is not in the table: %v", err)
	}
}

func TestTablesRefused(t *testing.T) {
	c := NewCodec(testKinds())
	for name, payload := range map[string][]byte{
		"nothing":                 {},
		"a count beyond its end":  {100, 1, 1, 'x'},
		"too many contacts":       append([]byte{129, 1}, make([]byte, 1000)...),
		"a Ref of nobody":         {1, 0, 1, 'x', 0xa0},
		"Refs out of order":       {2, 2, 1, 'x', 1, 1, 'x', 0xa0},
		"one Ref twice":           {2, 1, 1, 'x', 1, 1, 'x', 0xa0},
		"an empty record":         {1, 1, 0, 0xa0, 0xa0},
		"a record beyond its end": {1, 1, 9, 'x', 0xa0},
	} {
		if m, err := c.DecodePayload(20, payload, nil); !errors.Is(err, dht.ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

func TestHelloRoundTrip(t *testing.T) {
	b, err := AppendHello(nil, fullHello())
	if err != nil {
		t.Fatal(err)
	}
	h, err := DecodeHello(frames(t, b)[0])
	if err != nil || !reflect.DeepEqual(h, fullHello()) {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestHellosRefused(t *testing.T) {
	long := strings.Repeat("x", maxText+1)
	for name, edit := range map[string]func(*Hello){
		"no incarnation":    func(h *Hello) { h.Inc = 0 },
		"too many settings": func(h *Hello) { h.Settings = make([]Setting, maxSettings+1) },
		"a long value":      func(h *Hello) { h.Settings[0].Value = long },
		"a nameless value":  func(h *Hello) { h.Settings[0].Name = "" },
		"many addresses":    func(h *Hello) { h.Addrs = make([][]byte, MaxAddrs+1) },
		"an empty address":  func(h *Hello) { h.Addrs = [][]byte{{}} },
	} {
		h := fullHello()
		edit(&h)
		body, err := plainEnc.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		f := Frame{Header: Header{Type: Opening}, First: true, Data: body}
		if _, err := DecodeHello(f); !errors.Is(err, dht.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := DecodeHello(Frame{Header: Header{Type: Request}, First: true}); !errors.Is(err, dht.ErrMalformed) {
		t.Errorf("a request in place of a hello: %v", err)
	}
}

func TestMismatchNamesBothValues(t *testing.T) {
	here := []Setting{{Name: "algorithm", Value: "chord"}, {Name: "cluster", Value: "a"}, {Name: "degree", Value: "16"}}
	there := []Setting{{Name: "cluster", Value: "a"}, {Name: "algorithm", Value: "kademlia"}, {Name: "k", Value: "20\x1b"}}
	if got := Mismatch(here, here); got != "" {
		t.Errorf("a node differs from itself: %s", got)
	}
	want := "algorithm: chord here, kademlia there; degree: 16 here, none there; k: none here, 20? there"
	if got := Mismatch(here, there); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestFailuresKeepTheirCode(t *testing.T) {
	sent := &dht.Error{Code: 300, Text: strings.Repeat("é", 200) + "\x00"}
	f := frames(t, AppendFailure(nil, 7, sent))[0]
	if f.ID != 7 || f.Type != Failure {
		t.Errorf("%+v", f)
	}
	got := DecodeFailure(f)
	if !errors.Is(got, sent) || len(got.Error()) > MaxErrorText || !strings.HasPrefix(got.Error(), "éé") {
		t.Errorf("got %v", got)
	}
	if got := DecodeFailure(frames(t, AppendFailure(nil, 7, dht.ErrTimeout))[0]); !errors.Is(got, dht.ErrGaveUp) {
		t.Errorf("a relayed time-out became %v", got)
	}
	timeout := Frame{Header: Header{Type: Failure, Code: dht.ErrTimeout.Code}}
	if got := DecodeFailure(timeout); !errors.Is(got, dht.ErrGaveUp) {
		t.Errorf("a time-out from the wire became %v", got)
	}
	if got := DecodeFailure(Frame{}); !errors.Is(got, dht.ErrInternal) {
		t.Errorf("code 0 became %v", got)
	}
}

func TestContactsFitTheirRecord(t *testing.T) {
	c := Contact{Identity: make([]byte, 38)}
	for range 20 {
		c.Addrs = append(c.Addrs, make([]byte, maxAddr))
	}
	record, err := c.Encode()
	if err != nil || len(record) > MaxRecord {
		t.Fatalf("%d bytes, %v", len(record), err)
	}
	got, err := DecodeContact(record)
	if err != nil || len(got.Addrs) != 1 || len(got.Identity) != 38 {
		t.Errorf("%d addresses, %v", len(got.Addrs), err)
	}
	for name, bad := range map[string]Contact{
		"no identity":      {},
		"a long identity":  {Identity: make([]byte, maxIdentity+1)},
		"an empty address": {Identity: []byte{1}, Addrs: [][]byte{{}}},
	} {
		if _, err := bad.Encode(); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := DecodeContact(make([]byte, MaxRecord+1)); !errors.Is(err, dht.ErrMalformed) {
		t.Errorf("a long record: %v", err)
	}
}
