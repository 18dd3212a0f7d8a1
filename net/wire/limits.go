package wire

// Sizes of this format, in bytes.
const (
	// MaxFrame is the longest frame, its length field included. With the headers of
	// yamux and Noise it is one record of 64 KiB.
	MaxFrame = 65_500
	// MaxRouting is the longest payload (contacts and body) of a message below code
	// FirstData.
	MaxRouting = 64 << 10
	// DataRoom is what a data message may need beside the value it carries.
	DataRoom = 4 << 10
	// MaxRecord is the longest contact record.
	MaxRecord = 1 << 10
	// MaxErrorText is the longest text of an error.
	MaxErrorText = 256
)

// FirstData is the first message code of the key-value layer. Messages below it
// build overlays and are small; those from it on may carry a value.
const FirstData = 256

// Limits bounds the payloads that a node accepts.
type Limits struct {
	data int
}

// LimitsFor returns the limits of a node that stores values of up to maxValue bytes.
func LimitsFor(maxValue int) Limits {
	return Limits{data: max(MaxRouting, maxValue+DataRoom)}
}

// Of returns the longest payload of a message with this code, in bytes.
func (l Limits) Of(code uint16) int {
	if code < FirstData {
		return MaxRouting
	}
	return l.data
}

// Data returns the longest payload of any message, in bytes.
func (l Limits) Data() int { return l.data }

// Announced returns the limits of the node that sent h: nothing longer may be sent
// to it.
func Announced(h Hello) Limits { return Limits{data: max(MaxRouting, int(h.MaxData))} }
