package wire

import (
	"encoding/binary"
	"fmt"

	"dyschord/dht"
)

// Fragments is a message on its way out that is too long for one frame. The sender
// may put whole messages between its fragments, but not fragments of another
// message: long messages go one after another.
type Fragments struct {
	head Header
	rest []byte
	all  int
}

// NewFragments splits payload, which it keeps.
func NewFragments(h Header, payload []byte) *Fragments {
	return &Fragments{head: h, rest: payload, all: len(payload)}
}

// Append writes the next fragment behind dst, as a frame of at most room bytes, and
// says whether it was the last. room is at least MinRoom and at most MaxFrame.
func (f *Fragments) Append(dst []byte, room int) (out []byte, last bool) {
	first := len(f.rest) == f.all
	head := lengthSize + headSize
	typ := byte(f.head.Type)
	if first {
		head = frameHead
	} else {
		typ |= flagNext
	}
	n := min(len(f.rest), room-head)
	if more := n < len(f.rest); more {
		typ |= flagMore
		if first {
			head += totalSize
			n -= totalSize
		}
	}
	start := len(dst)
	dst = append(dst, make([]byte, head)...)
	putHead(dst[start:], head+n, typ, f.head.ID)
	if first {
		binary.BigEndian.PutUint16(dst[start+lengthSize+headSize:], f.head.Code)
	}
	if head == frameHead+totalSize {
		binary.BigEndian.PutUint32(dst[start+frameHead:], uint32(f.all))
	}
	dst = append(dst, f.rest[:n]...)
	f.rest = f.rest[n:]
	return dst, len(f.rest) == 0
}

// MinRoom is the least room in which [Fragments.Append] makes progress worth a frame.
const MinRoom = 1 << 10

// Assembler puts the frames of one stream together to messages. It holds at most
// one message in fragments, and grows it only as its bytes arrive.
type Assembler struct {
	codec   *Codec
	maxData int
	part    Frame
	open    bool
}

// Assembler makes an assembler that refuses payloads beyond what Limit allows.
func (c *Codec) Assembler(maxData int) *Assembler { return &Assembler{codec: c, maxData: maxData} }

// Add takes the next frame. With whole true, the message it returns is complete;
// its data is good until the next call, or until the buffer of f is used again. An
// error means that the sender breaks the format: close the stream.
func (a *Assembler) Add(f Frame) (message Frame, whole bool, err error) {
	switch {
	case !f.First:
		return a.extend(f)
	case f.Total > a.limit(f.Header):
		return Frame{}, false, fmt.Errorf("wire: message %d of %d bytes, at most %d are allowed: %w",
			f.Code, f.Total, a.limit(f.Header), dht.ErrMalformed)
	case !f.More:
		return f, true, nil
	case a.open:
		return Frame{}, false, fmt.Errorf("wire: two messages in fragments at once: %w", dht.ErrMalformed)
	}
	a.open = true
	a.part = f
	a.part.Data = append(make([]byte, 0, min(f.Total, 2*MaxFrame)), f.Data...)
	return Frame{}, false, nil
}

func (a *Assembler) limit(h Header) int {
	if h.Type == Failure {
		return MaxErrorText
	}
	return a.codec.Limit(h.Code, a.maxData)
}

func (a *Assembler) extend(f Frame) (Frame, bool, error) {
	if !a.open || f.Type != a.part.Type || f.ID != a.part.ID {
		return Frame{}, false, fmt.Errorf("wire: a fragment of no message: %w", dht.ErrMalformed)
	}
	have := len(a.part.Data) + len(f.Data)
	if len(f.Data) == 0 || have > a.part.Total || f.More == (have == a.part.Total) {
		return Frame{}, false, fmt.Errorf("wire: fragments of %d bytes for a payload of %d: %w", have, a.part.Total, dht.ErrMalformed)
	}
	a.part.Data = append(a.part.Data, f.Data...)
	if f.More {
		return Frame{}, false, nil
	}
	whole := a.part
	whole.More = false
	a.part, a.open = Frame{}, false
	return whole, true, nil
}

// Partial returns the header of the message that is arriving in fragments, if any.
func (a *Assembler) Partial() (Header, bool) { return a.part.Header, a.open }
