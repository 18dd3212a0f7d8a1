package wire

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dyschord/dht"
)

var update = flag.Bool("update", false, "write the golden files anew; nodes of older versions will not understand the change")

// TestGolden pins the bytes of everything that crosses the wire.
func TestGolden(t *testing.T) {
	id := dht.NewID(0, 9)
	c := NewCodec(testKinds())
	for name, make := range map[string]func() ([]byte, error){
		"contact": func() ([]byte, error) {
			return Contact{Identity: []byte("identity"), Addrs: [][]byte{{4, 127, 0, 0, 1, 6, 0x0f, 0xa1}}}.Encode()
		},
		"contact_by_hand": func() ([]byte, error) { return Contact{Identity: []byte("identity"), ID: &id}.Encode() },
		"hello":           func() ([]byte, error) { return AppendHello(nil, fullHello()) },
		"request":         func() ([]byte, error) { return wholeFrame(c, Header{Request, 7, 300}, fullProbe()) },
		"reply":           func() ([]byte, error) { return wholeFrame(c, Header{Reply, 1 << 31, 20}, &small{Num: 5}) },
		"failure": func() ([]byte, error) {
			return AppendFailure(nil, 7, fmt.Errorf("chord: notify 3: %w", dht.ErrRejected)), nil
		},
		"probe": func() ([]byte, error) {
			out := BeginFrame(nil)
			EndFrame(out, 0, Header{Type: Request})
			return out, nil
		},
		"fragments": func() ([]byte, error) {
			var out []byte
			f := NewFragments(Header{Request, 7, 300}, bytes.Repeat([]byte{0xaa}, 2*MinRoom))
			for last := false; !last; {
				out, last = f.Append(out, MinRoom)
			}
			return out, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := make()
			if err != nil {
				t.Fatal(err)
			}
			compareGolden(t, filepath.Join("testdata", "golden", name+".hex"), got)
		})
	}
}

func compareGolden(t *testing.T, path string, got []byte) {
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(hexLines(got)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if hexLines(got) != string(want) {
		t.Errorf("%s has changed:\n%s\nwant\n%s", path, hexLines(got), want)
	}
}

func hexLines(b []byte) string {
	var lines strings.Builder
	for ; len(b) > 32; b = b[32:] {
		fmt.Fprintln(&lines, hex.EncodeToString(b[:32]))
	}
	fmt.Fprintln(&lines, hex.EncodeToString(b))
	return lines.String()
}

func fullHello() Hello {
	id := dht.NewID(0, 9)
	return Hello{
		Version:  1,
		Inc:      3,
		Settings: []Setting{{Name: "cluster", Value: "test"}, {Name: "bits", Value: "4"}},
		Addrs:    [][]byte{{4, 127, 0, 0, 1, 6, 0x0f, 0xa1}},
		ID:       &id,
		MaxData:  1 << 20,
		Refusal:  "identifier 9 is taken",
	}
}

func testRecord(ref uint32) []byte {
	if ref > 1000 {
		return nil
	}
	return fmt.Appendf(nil, "record of %d", ref)
}

func wholeFrame(c *Codec, h Header, m dht.Message) ([]byte, error) {
	out, err := c.AppendPayload(BeginFrame(nil), m, testRecord)
	if err == nil && !EndFrame(out, 0, h) {
		err = fmt.Errorf("%d bytes are too long for a frame", len(out))
	}
	return out, err
}
