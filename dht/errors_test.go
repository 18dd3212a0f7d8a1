package dht

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestCodesSurviveTheWire(t *testing.T) {
	sent := fmt.Errorf("chord: notify 3f: %w", ErrRejected)
	coded := AsError(sent)
	received := &Error{coded.Code, coded.Text}
	if !errors.Is(received, ErrRejected) || errors.Is(received, ErrBusy) || received.Error() != sent.Error() {
		t.Errorf("%v became %v with code %d", sent, received, received.Code)
	}
	if coded := AsError(errors.New(strings.Repeat("x", 1000))); coded.Code != ErrInternal.Code || len(coded.Text) != 256 {
		t.Errorf("an uncoded error became code %d with %d bytes", coded.Code, len(coded.Text))
	}
}
