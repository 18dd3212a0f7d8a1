package wire

import (
	"testing"

	"dyschord/dht"
)

// nested has identifiers in each place where a body can have them.
type nested struct {
	Rows  []nestedRow `cbor:"1,keyasint"`
	Where *nestedRow  `cbor:"2,keyasint,omitempty"`
	Keys  [2]dht.ID   `cbor:"3,keyasint"`
	Own   dht.Peer    `cbor:"-"`
	local dht.ID
}

type nestedRow struct {
	Peer dht.Peer `cbor:"1,keyasint"`
	At   dht.ID   `cbor:"2,keyasint,omitempty"`
	Note []byte   `cbor:"3,keyasint,omitempty"`
}

func (*nested) Code() uint16             { return 301 }
func (*nested) EachPeer(func(*dht.Peer)) {}

func TestIdentifiersAreCounted(t *testing.T) {
	at := nestedRow{At: dht.NewID(0, 1), Note: []byte("no identifier")}
	for name, c := range map[string]struct {
		m    dht.Message
		want int
	}{
		"a plain identifier, though 0":   {&probe{}, 1},
		"peers, nobody among them":       {fullProbe(), 5},
		"none":                           {&small{Data: []byte{1, 2}}, 0},
		"an array of two":                {&nested{}, 2},
		"rows of a list and of pointers": {&nested{Rows: []nestedRow{at, {}}, Where: &at}, 2 + 2 + 1 + 2},
		"what is not sent":               {&nested{Own: dht.Peer{Ref: 1}, local: dht.NewID(0, 1)}, 2},
	} {
		if got := Identifiers(c.m); got != c.want {
			t.Errorf("%s: %d identifiers, want %d", name, got, c.want)
		}
	}
}
