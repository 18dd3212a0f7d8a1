package dht

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCodesSurviveTheWire(t *testing.T) {
	sent := fmt.Errorf("chord: notify 3f: %w", ErrRejected)
	coded := AsError(sent)
	received := &Error{coded.Code, coded.Text}
	if !errors.Is(received, ErrRejected) || errors.Is(received, ErrBusy) || received.Error() != sent.Error() {
		t.Errorf("%v became %v with code %d", sent, received, received.Code)
	}
	for _, local := range []error{ErrTimeout, ErrUnreachable, ErrClosed, context.Canceled} {
		if relayed := AsError(fmt.Errorf("kv: forward: %w", local)); !errors.Is(relayed, ErrGaveUp) || errors.Is(relayed, local) {
			t.Errorf("%v was relayed as %v with code %d", local, relayed, relayed.Code)
		}
	}
	if coded := AsError(errors.New("x" + strings.Repeat("é", 200))); !utf8.ValidString(coded.Text) {
		t.Errorf("a text was cut inside a character: %q", coded.Text)
	}
	if coded := AsError(errors.New(strings.Repeat("x", 1000))); coded.Code != ErrInternal.Code || len(coded.Text) != 256 {
		t.Errorf("an uncoded error became code %d with %d bytes", coded.Code, len(coded.Text))
	}
}
