package wire

import "dyschord/dht"

// Sizes of this format, in bytes.
const (
	// MaxFrame is the longest frame, its length field included. With the headers of
	// yamux and Noise it is one record of 64 KiB.
	MaxFrame = 65_500
	// MaxRouting is the longest payload (contacts and body) of a message that carries
	// no values: one frame.
	MaxRouting = MaxFrame - frameHead
	// DataRoom is what a message may need beside the value it carries.
	DataRoom = 4 << 10
	// MaxRecord is the longest contact record.
	MaxRecord = dht.MaxContact
	// MaxErrorText is the longest text of an error.
	MaxErrorText = 256
)

// FirstData is the first message code of the key-value layer; no message below it
// carries values.
const FirstData = 256

// MaxData returns the longest payload of a message that carries values of up to
// maxValue bytes.
func MaxData(maxValue int) int { return max(MaxRouting, maxValue+DataRoom) }

// Limit returns the longest payload of a message with this code, where maxData is
// that of messages which carry values (MaxData). A code the codec does not know is
// given the most, so that a node can refuse the message and keep the stream.
func (c *Codec) Limit(code uint16, maxData int) int {
	if k, known := c.kinds[code]; known && !k.Data {
		return MaxRouting
	}
	return maxData
}
