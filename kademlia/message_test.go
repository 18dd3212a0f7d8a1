package kademlia

import (
	"encoding/hex"
	"errors"
	"testing"

	"dyschord/dht"
	"dyschord/net/wire"
)

// The bytes of messages are pinned: a change breaks nodes of other versions.
func TestMessageFormat(t *testing.T) {
	codec := wire.NewCodec(kinds())
	a, b := dht.Peer{Ref: 3, Inc: 2}, dht.Peer{Ref: 500}
	for want, m := range map[string]dht.Message{
		"a0": &ping{},
		"a601500000000000000001000000000000000202140307044401020304" +
			"05500000000000000000000000000000000506" + "81a201030202": &near{
			Target: dht.NewID(1, 2), N: 20, Salt: 7, Known: []byte{1, 2, 3, 4}, Empty: dht.NewID(0, 5), Lost: []dht.Peer{a},
		},
		"a2" + "0182a201030202a1011901f4" + "0281a1011901f4": &nearby{Peers: []dht.Peer{a, b}, Lost: []dht.Peer{b}},
	} {
		got, err := codec.Append(nil, m)
		if err != nil || hex.EncodeToString(got) != want {
			t.Errorf("%T is written as\n%x, not\n%s (%v)", m, got, want, err)
		}
	}
	for code, m := range map[uint16]dht.Message{64: &ping{}, 65: &pong{}, 66: &near{}, 67: &nearby{}, 68: &leave{}} {
		if m.Code() != code {
			t.Errorf("%T has the code %d, not %d", m, m.Code(), code)
		}
	}
}

// What is too long or names nobody is refused; what just fits is not.
func TestMalformedMessagesAreRefused(t *testing.T) {
	crowd := make([]dht.Peer, maxNearby+1)
	for i := range crowd {
		crowd[i].Ref = uint32(i) + 1
	}
	for text, c := range map[string]struct {
		m  interface{ validate() error }
		ok bool
	}{
		"as much as fits":          {&near{N: dht.MaxOwners, Known: make([]byte, maxKnown), Lost: crowd[:maxNews]}, true},
		"too many wanted":          {&near{N: dht.MaxOwners + 1}, false},
		"too many marks":           {&near{Known: make([]byte, maxKnown+2)}, false},
		"half a mark":              {&near{Known: make([]byte, 3)}, false},
		"too many deaths":          {&near{Lost: crowd[:maxNews+1]}, false},
		"nobody has died":          {&near{Lost: make([]dht.Peer, 1)}, false},
		"an answer that fits":      {&nearby{Peers: crowd[:maxNearby], Lost: crowd[:maxNews]}, true},
		"too many peers":           {&nearby{Peers: crowd}, false},
		"nobody named":             {&nearby{Peers: make([]dht.Peer, 1)}, false},
		"too many deaths answered": {&nearby{Lost: crowd[:maxNews+1]}, false},
	} {
		if err := c.m.validate(); c.ok != (err == nil) || !c.ok && !errors.Is(err, dht.ErrMalformed) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if most := maxNearby + maxNews; most > dht.MaxPeers {
		t.Errorf("a message may hold %d peers, more than %d", most, dht.MaxPeers)
	}
}
