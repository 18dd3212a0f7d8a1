package p2p

import (
	"fmt"
	"slices"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"dyschord/dht"
	"dyschord/net/wire"
)

// parseAddrs reads multiaddrs that a person wrote. what names the setting.
func parseAddrs(what string, texts []string) ([]ma.Multiaddr, error) {
	addrs := make([]ma.Multiaddr, 0, len(texts))
	for _, text := range texts {
		a, err := ma.NewMultiaddr(text)
		if err != nil {
			return nil, fmt.Errorf("p2p: %s %q is no multiaddr, such as /ip4/127.0.0.1/tcp/4001: %w", what, text, err)
		}
		if _, err := a.ValueForProtocol(ma.P_P2P); err == nil {
			return nil, fmt.Errorf("p2p: %s %s must not end in /p2p/", what, text)
		}
		addrs = append(addrs, a)
	}
	return addrs, nil
}

// parseRaw reads multiaddrs from the wire.
func parseRaw(raw [][]byte) ([]ma.Multiaddr, error) {
	addrs := make([]ma.Multiaddr, 0, len(raw))
	for _, b := range raw {
		a, err := ma.NewMultiaddrBytes(b)
		if err != nil {
			return nil, fmt.Errorf("p2p: address in a contact: %w: %w", dht.ErrMalformed, err)
		}
		addrs = append(addrs, a)
	}
	return addrs, nil
}

func rawAddrs(addrs []ma.Multiaddr) [][]byte {
	var raw [][]byte
	for _, a := range addrs[:min(len(addrs), wire.MaxAddrs)] {
		raw = append(raw, a.Bytes())
	}
	return raw
}

// reachable sorts addresses for other nodes: those of this machine alone go last.
func reachable(addrs []ma.Multiaddr) []ma.Multiaddr {
	sorted := slices.Clone(addrs)
	slices.SortStableFunc(sorted, func(a, b ma.Multiaddr) int {
		return loopback(a) - loopback(b)
	})
	return sorted[:min(len(sorted), wire.MaxAddrs)]
}

func loopback(a ma.Multiaddr) int {
	if manet.IsIPLoopback(a) {
		return 1
	}
	return 0
}
