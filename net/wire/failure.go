package wire

import (
	"strings"

	"dyschord/dht"
)

// AppendFailure writes the error frame that answers request id behind dst.
func AppendFailure(dst []byte, id uint32, err error) []byte {
	coded := dht.AsError(err)
	start := len(dst)
	dst = BeginFrame(dst)
	dst = append(dst, coded.Text[:min(len(coded.Text), MaxErrorText)]...)
	EndFrame(dst, start, Header{Type: Failure, ID: id, Code: coded.Code}) // always fits
	return dst
}

// DecodeFailure reads the error in f, which errors.Is compares by code. A code of 0
// is not an error's and becomes dht.ErrInternal's; what only the local Env may say,
// such as dht.ErrTimeout, becomes what dht.AsError makes of it.
func DecodeFailure(f Frame) error {
	code := f.Code
	if code == 0 {
		code = dht.ErrInternal.Code
	}
	return dht.AsError(&dht.Error{Code: code, Text: Printable(strings.ToValidUTF8(string(f.Data), ""))})
}
