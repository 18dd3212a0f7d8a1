package koorde

import "dyschord/dht"

// Codes of the messages, from this package's range 80-95.
const (
	codeRead = 80
	codeHeld = 81
)

// read asks a neighbour on the ring for its de Bruijn pointers.
type read struct{}

// held answers read.
type held struct {
	Pointers []dht.Peer `cbor:"1,keyasint,omitempty"` // clockwise
}

func (*read) Code() uint16 { return codeRead }
func (*held) Code() uint16 { return codeHeld }

func (*read) EachPeer(func(*dht.Peer)) {}

func (m *held) EachPeer(f func(*dht.Peer)) {
	for i := range m.Pointers {
		f(&m.Pointers[i])
	}
}

func kinds() []dht.Kind {
	return []dht.Kind{
		{Code: codeRead, Name: "koorde_read", New: func() dht.Message { return new(read) }},
		{Code: codeHeld, Name: "koorde_held", New: func() dht.Message { return new(held) }},
	}
}
