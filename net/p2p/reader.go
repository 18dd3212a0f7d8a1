package p2p

import (
	"errors"
	"io"
	"time"

	"dyschord/net/wire"
)

// minRead is the buffer of a quiet stream, in bytes. A busy one grows to the length
// of a frame.
const minRead = 4 << 10

// reader cuts a stream into frames.
type reader struct {
	from io.Reader
	*counters
	buf   []byte
	begin int // of what was read and not yet returned
	end   int
	now   time.Time // when the last bytes arrived
}

func newReader(from io.Reader, stats *counters) *reader {
	return &reader{from: from, counters: stats, buf: make([]byte, minRead)}
}

// next returns the next frame. Its data is good until the next call.
func (r *reader) next() (wire.Frame, error) {
	if err := r.fill(wire.LengthSize); err != nil {
		return wire.Frame{}, err
	}
	n, err := wire.FrameLen(r.buf[r.begin:])
	if err != nil {
		return wire.Frame{}, err
	}
	n += wire.LengthSize
	if err := r.fill(n); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return wire.Frame{}, err
	}
	frame := r.buf[r.begin+wire.LengthSize : r.begin+n]
	r.begin += n
	r.counters.FramesReceived.Add(1)
	return wire.ParseFrame(frame)
}

// fill reads until n bytes are there.
func (r *reader) fill(n int) error {
	for r.end-r.begin < n {
		r.makeRoom(n)
		got, err := r.from.Read(r.buf[r.end:])
		r.end += got
		r.now = time.Now()
		r.counters.BytesReceived.Add(uint64(got))
		if err != nil && r.end-r.begin < n {
			return err
		}
	}
	return nil
}

// makeRoom sees to space behind end: enough for n bytes from begin. A buffer that
// was read full is made larger, since there is more to come.
func (r *reader) makeRoom(n int) {
	if r.begin == r.end {
		full := r.end == len(r.buf)
		r.begin, r.end = 0, 0
		if full && len(r.buf) < wire.MaxFrame {
			r.buf = make([]byte, min(2*len(r.buf), wire.MaxFrame))
		}
	}
	if n > len(r.buf) {
		grown := make([]byte, wire.MaxFrame)
		r.end = copy(grown, r.buf[r.begin:r.end])
		r.begin, r.buf = 0, grown
	} else if r.begin+n > len(r.buf) {
		r.end = copy(r.buf, r.buf[r.begin:r.end])
		r.begin = 0
	}
}
