package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dyschord/dht"
)

// addGolden seeds a fuzz target with the golden files.
func addGolden(f *testing.F, add func([]byte)) {
	paths, err := filepath.Glob(filepath.Join("testdata", "golden", "*.hex"))
	if err != nil || len(paths) == 0 {
		f.Fatalf("no golden files: %v", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		b, err := hex.DecodeString(strings.ReplaceAll(string(text), "\n", ""))
		if err != nil {
			f.Fatal(path, err)
		}
		add(b)
	}
}

// FuzzStream feeds a stream of frames to everything that reads one.
func FuzzStream(f *testing.F) {
	addGolden(f, func(b []byte) { f.Add(b) })
	c := NewCodec(testKinds())
	f.Fuzz(func(t *testing.T, b []byte) {
		in := NewCodec(testKinds()).Assembler(MaxData(1 << 16))
		for len(b) >= LengthSize {
			n, err := FrameLen(b)
			if err != nil || len(b) < LengthSize+n {
				return
			}
			frame, err := ParseFrame(b[LengthSize : LengthSize+n])
			if err != nil {
				mustBeMalformed(t, err)
				return
			}
			b = b[LengthSize+n:]
			m, whole, err := in.Add(frame)
			if err != nil {
				mustBeMalformed(t, err)
				return
			}
			if whole {
				readMessage(t, c, m)
			}
		}
	})
}

func readMessage(t *testing.T, c *Codec, f Frame) {
	switch f.Type {
	case Opening:
		h, err := DecodeHello(f)
		if err != nil {
			mustBeMalformed(t, err)
			return
		}
		if _, err := AppendHello(nil, h); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
	case Failure:
		if err := DecodeFailure(f); err == nil || !bytes.Equal([]byte(err.Error()), []byte(Printable(err.Error()))) {
			t.Fatalf("error %q", err)
		}
	default:
		m, err := c.DecodePayload(f.Code, f.Data, func([]byte) (dht.Peer, error) { return dht.Peer{Ref: 7}, nil })
		if err != nil {
			if !errors.Is(err, dht.ErrUnknownMessage) {
				mustBeMalformed(t, err)
			}
			return
		}
		m.EachPeer(func(p *dht.Peer) {
			if p.Ref != 0 && p.Ref != 7 {
				t.Fatalf("a Ref of the sender was left: %d", p.Ref)
			}
		})
	}
}

func FuzzContact(f *testing.F) {
	addGolden(f, func(b []byte) { f.Add(b) })
	f.Fuzz(func(t *testing.T, record []byte) {
		c, err := DecodeContact(record)
		if err != nil {
			mustBeMalformed(t, err)
			return
		}
		again, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := DecodeContact(again); err != nil || fmt.Sprint(back.Addrs) != fmt.Sprint(c.Addrs) && len(record) >= len(again) {
			t.Fatalf("%+v came back as %+v, %v", c, back, err)
		}
	})
}

func mustBeMalformed(t *testing.T, err error) {
	if !errors.Is(err, dht.ErrMalformed) {
		t.Fatalf("error without code: %v", err)
	}
}
