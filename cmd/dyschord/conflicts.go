package main

import (
	"fmt"

	"dyschord/dht"
	"dyschord/kv/node"
)

// conflicts refuses pairs of settings that cannot hold together.
func (l loaded) conflicts() error {
	for _, check := range []func() error{l.idConflicts, l.sizeConflicts, l.overlayConflicts, l.tlsConflicts, l.exposure} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// show names a setting with its value and source. The command may not take it: then
// it is named alone.
func (l loaded) show(key string) string {
	if !l.takes(key) {
		return key
	}
	return fmt.Sprintf("%s %s (%s)", key, inline(l.values[key]), l.sources[key])
}

// takes says whether the command has the setting.
func (l loaded) takes(key string) bool {
	_, ok := l.sources[key]
	return ok
}

func (l loaded) idConflicts() error {
	s := l.settings
	if s.ID == "" {
		return nil
	}
	if s.Hash != dht.Trivial.String() && s.Bits > 16 {
		return usagef("setting %s conflicts with %s and %s: an identifier may be chosen only with hash trivial or at most 16 bits",
			l.show("id"), l.show("hash"), l.show("bits"))
	}
	if _, err := s.space().Parse(s.ID); err != nil {
		return usagef("setting %s conflicts with %s: 0 to %s is allowed", l.show("id"), l.show("bits"), s.space().Max())
	}
	return nil
}

func (l loaded) sizeConflicts() error {
	s := l.settings
	if s.Bits < 16 && s.Slots > 1<<s.Bits {
		return usagef("setting %s conflicts with %s: at most %d slots are allowed there", l.show("slots"), l.show("bits"), 1<<s.Bits)
	}
	return nil
}

func (l loaded) tlsConflicts() error {
	if (l.settings.TLSCert == "") != (l.settings.TLSKey == "") {
		return usagef("setting %s conflicts with %s: set both, or neither", l.show("tls-cert"), l.show("tls-key"))
	}
	return nil
}

// exposure refuses addresses that others can reach, unless told that this is meant.
func (l loaded) exposure() error {
	s := l.settings
	if s.Insecure {
		return nil
	}
	for _, addr := range s.Listen {
		if !node.LoopbackMultiaddr(addr) {
			return usagef("setting %s conflicts with %s: %s is not loopback, and whoever reaches it can join; listen on loopback, or give --insecure for a closed network",
				l.show("listen"), l.show("insecure"), addr)
		}
	}
	if s.TokenFile != "" {
		return nil
	}
	for _, key := range []string{"gateway", "admin"} {
		addr, _ := l.values[key].(string)
		if addr == "" || node.LoopbackHost(addr) {
			continue
		}
		if !l.takes("insecure") {
			return usagef("setting %s is not loopback: dev serves loopback only; for others use `dyschord node`", l.show(key))
		}
		return usagef("setting %s conflicts with %s: %s is not loopback, and whoever reaches it can read and write; use loopback, name a --token-file, or give --insecure for a closed network",
			l.show(key), l.show("insecure"), addr)
	}
	return nil
}
