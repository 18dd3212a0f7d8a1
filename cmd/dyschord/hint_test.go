package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"dyschord/kv/node"
)

// The advice follows from what the error is, not from its words.
func TestHintsNameTheSetting(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&node.AddressError{What: "gateway", Address: "127.0.0.1:80", Err: syscall.EADDRINUSE}, "--gateway"},
		{&node.AddressError{What: "admin", Address: "gateway.example:80", Err: syscall.EADDRINUSE}, "--admin"},
		{fmt.Errorf("p2p: cannot listen on /dns4/gateway/tcp/1: %w", syscall.EADDRINUSE), "--listen"},
		{&node.Refused{By: "x", Why: "cluster: identifier here, other there"}, "--bootstrap"},
	} {
		if got := hint(c.err).Error(); !strings.HasSuffix(got, c.want) {
			t.Errorf("%s: want it to end in %s", got, c.want)
		}
	}
}
