package wire

import (
	"fmt"
	"strings"
	"unicode"

	"dyschord/dht"
)

// Protocol is the name under which nodes speak this format. A change that older
// nodes cannot bear gets a new name.
const Protocol = "/dyschord/1"

// Version counts the additions to the format since Protocol got its name. It is
// for people: nodes of all versions of one Protocol understand each other.
const Version = 1

// Hello is the first message in each direction of a stream.
type Hello struct {
	Version  uint32    `cbor:"1,keyasint"`
	Inc      uint32    `cbor:"2,keyasint"`           // incarnation of the sender; not 0
	Settings []Setting `cbor:"3,keyasint,omitempty"` // what all members must agree on
	Addrs    [][]byte  `cbor:"4,keyasint,omitempty"` // where the sender listens, as in Contact
	ID       *dht.ID   `cbor:"5,keyasint,omitempty"` // as in Contact
	MaxData  uint32    `cbor:"6,keyasint"`           // longest payload the sender accepts, in bytes; see Codec.Limit
	// Refusal says why the sender will not talk; empty if it will. Only the node
	// that was called sends one.
	Refusal string `cbor:"7,keyasint,omitempty"`
}

// Setting is a value that all members of a cluster must agree on.
type Setting struct {
	_     struct{} `cbor:",toarray"`
	Name  string
	Value string
}

// Bounds of a Hello: settings, and bytes of a text in it.
const (
	maxSettings = 32
	maxText     = 512
)

// AppendHello writes h behind dst as a frame.
func AppendHello(dst []byte, h Hello) ([]byte, error) {
	h.Refusal = h.Refusal[:min(len(h.Refusal), maxText)]
	h.Refusal = strings.ToValidUTF8(h.Refusal, "")
	if err := h.Validate(); err != nil {
		return dst, err
	}
	body, err := plainEnc.Marshal(h)
	if err != nil {
		return dst, fmt.Errorf("wire: encode a hello: %w", err)
	}
	start := len(dst)
	dst = append(BeginFrame(dst), body...)
	if !EndFrame(dst, start, Header{Type: Opening}) {
		return dst[:start], fmt.Errorf("wire: a hello of %d bytes does not fit in a frame", len(body))
	}
	return dst, nil
}

// DecodeHello reads the Hello in f.
func DecodeHello(f Frame) (Hello, error) {
	var h Hello
	if f.Type != Opening || !f.First || f.More {
		return h, fmt.Errorf("wire: the first frame of a stream is no hello: %w", dht.ErrMalformed)
	}
	if err := plainDec.Unmarshal(f.Data, &h); err != nil {
		return h, fmt.Errorf("wire: decode a hello: %w: %w", dht.ErrMalformed, err)
	}
	h.Refusal = Printable(h.Refusal)
	return h, h.Validate()
}

// Validate says what is wrong with h, if anything.
func (h Hello) Validate() error {
	if h.Inc == 0 {
		return fmt.Errorf("wire: a hello without incarnation: %w", dht.ErrMalformed)
	}
	if len(h.Settings) > maxSettings || len(h.Refusal) > maxText {
		return fmt.Errorf("wire: a hello with %d settings and a refusal of %d bytes, %d and %d are allowed: %w",
			len(h.Settings), len(h.Refusal), maxSettings, maxText, dht.ErrMalformed)
	}
	for _, s := range h.Settings {
		if len(s.Name) > maxText || len(s.Value) > maxText || s.Name == "" {
			return fmt.Errorf("wire: a setting with a name of %d and a value of %d bytes, 1 and 0 to %d are allowed: %w",
				len(s.Name), len(s.Value), maxText, dht.ErrMalformed)
		}
	}
	return checkAddrs(h.Addrs)
}

// Mismatch names the settings in which two nodes differ, with both values, for
// people at the first node. It is empty if they agree. Order has no meaning.
func Mismatch(here, there []Setting) string {
	var diffs []string
	for _, s := range here {
		if other := valueOf(there, s.Name); other != valueOf(here, s.Name) {
			diffs = append(diffs, fmt.Sprintf("%s: %s here, %s there", s.Name, s.Value, other))
		}
	}
	for _, s := range there {
		if valueOf(here, s.Name) == unset {
			diffs = append(diffs, fmt.Sprintf("%s: %s here, %s there", Printable(s.Name), unset, Printable(s.Value)))
		}
	}
	return strings.Join(diffs, "; ")
}

const unset = "none"

func valueOf(settings []Setting, name string) string {
	for _, s := range settings {
		if s.Name == name {
			return Printable(s.Value)
		}
	}
	return unset
}

// Printable makes text from another node fit for logs and terminals: whatever is
// not printable becomes a question mark.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}
