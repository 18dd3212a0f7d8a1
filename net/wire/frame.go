package wire

import (
	"encoding/binary"
	"fmt"

	"dyschord/dht"
)

// Type says what a frame carries.
type Type uint8

// The types of frames. The values are part of the format.
const (
	Request Type = 1 // payload: contacts and body; Code is the message's
	Reply   Type = 2 // payload: contacts and body; Code is the message's
	Failure Type = 3 // payload: text; Code is the error's
	Opening Type = 4 // payload: a Hello; ID and Code are 0
)

const (
	flagMore = 0x40 // fragments of this message follow
	flagNext = 0x80 // not the first fragment: no code
	typeMask = 0x3f

	lengthSize = 2            // length of what follows it
	headSize   = 1 + 4        // type and flags, request id
	firstSize  = headSize + 2 // and the code
	totalSize  = 4            // and the payload's length, if more fragments follow
	frameHead  = lengthSize + firstSize
)

// Header identifies a message on a stream.
type Header struct {
	Type Type
	ID   uint32 // chosen by whoever asks; the answer repeats it
	Code uint16
}

// Frame is one frame as read: a whole message or a fragment of one.
type Frame struct {
	Header
	First bool
	More  bool
	Total int    // length of the whole payload; set in a first fragment
	Data  []byte // payload, or a part of it; shares memory with what was parsed
}

// FrameLen reads the length field of a frame: the bytes that follow the field.
// b holds at least LengthSize bytes.
func FrameLen(b []byte) (int, error) {
	n := int(binary.BigEndian.Uint16(b))
	if n < headSize || n > MaxFrame-lengthSize {
		return 0, fmt.Errorf("wire: a frame of %d bytes, %d to %d are allowed: %w", n, headSize, MaxFrame-lengthSize, dht.ErrMalformed)
	}
	return n, nil
}

// LengthSize is the number of bytes FrameLen reads.
const LengthSize = lengthSize

// ParseFrame reads what follows the length field of a frame.
func ParseFrame(b []byte) (Frame, error) {
	if len(b) < headSize {
		return Frame{}, errShort
	}
	f := Frame{More: b[0]&flagMore != 0, First: b[0]&flagNext == 0}
	f.Type = Type(b[0] & typeMask)
	f.ID = binary.BigEndian.Uint32(b[1:])
	b = b[headSize:]
	if f.Type < Request || f.Type > Opening {
		return Frame{}, fmt.Errorf("wire: frame type %d is not known: %w", f.Type, dht.ErrMalformed)
	}
	if !f.First {
		f.Data = b
		return f, nil
	}
	return parseFirst(f, b)
}

func parseFirst(f Frame, b []byte) (Frame, error) {
	if len(b) < 2 {
		return Frame{}, errShort
	}
	f.Code = binary.BigEndian.Uint16(b)
	b = b[2:]
	f.Total = len(b)
	if f.More {
		if len(b) < totalSize {
			return Frame{}, errShort
		}
		total := binary.BigEndian.Uint32(b)
		b = b[totalSize:]
		if int64(total) <= int64(len(b)) || total > 1<<31-1 {
			return Frame{}, fmt.Errorf("wire: a fragment of %d bytes of a payload of %d: %w", len(b), total, dht.ErrMalformed)
		}
		f.Total = int(total)
	}
	f.Data = b
	return f, nil
}

var errShort = fmt.Errorf("wire: a frame ends inside its header: %w", dht.ErrMalformed)

// BeginFrame makes room for the head of a whole message behind dst. Append the
// payload, then close it with EndFrame.
func BeginFrame(dst []byte) []byte {
	var head [frameHead]byte
	return append(dst, head[:]...)
}

// EndFrame fills in the head of the frame that BeginFrame began at dst[start]. It
// returns false, and has done nothing, if the frame is too long: the payload then
// goes out in fragments.
func EndFrame(dst []byte, start int, h Header) bool {
	b := dst[start:]
	if len(b) > MaxFrame {
		return false
	}
	putHead(b, len(b), byte(h.Type), h.ID)
	binary.BigEndian.PutUint16(b[lengthSize+headSize:], h.Code)
	return true
}

// Payload returns the payload of the frame that begins at dst[start].
func Payload(dst []byte, start int) []byte { return dst[start+frameHead:] }

func putHead(b []byte, size int, typ byte, id uint32) {
	binary.BigEndian.PutUint16(b, uint16(size-lengthSize))
	b[lengthSize] = typ
	binary.BigEndian.PutUint32(b[lengthSize+1:], id)
}
