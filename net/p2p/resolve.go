package p2p

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	mss "github.com/multiformats/go-multistream"

	"dyschord/dht"
)

// Resolve makes a Peer of a multiaddr that a person gave, such as a bootstrap
// address; it may be this node itself. With /p2p/ID it asks nobody. Without, it
// dials the address (TCP only) and believes whoever answers: trust on first use of
// that address. Later dials to the Peer insist on the identity found. The error is
// dht.ErrUnreachable if nobody answers.
func (h *Host) Resolve(ctx context.Context, addr string) (dht.Peer, error) {
	whole, err := ma.NewMultiaddr(addr)
	if err != nil {
		return dht.Peer{}, fmt.Errorf("p2p: %q is no multiaddr, such as /ip4/127.0.0.1/tcp/4001: %w", addr, err)
	}
	where, pid := peer.SplitAddr(whole)
	if where == nil {
		return dht.Peer{}, fmt.Errorf("p2p: %s names a peer but no address", addr)
	}
	if pid == "" {
		if pid, err = h.ask(ctx, where); err != nil {
			return dht.Peer{}, fmt.Errorf("p2p: who is at %s: %w", addr, err)
		}
	}
	if pid == h.pid {
		return h.self, nil
	}
	return h.book.note(pid, []ma.Multiaddr{where}, nil, false)
}

// ask learns the identity of whoever listens at an address, by a Noise handshake.
func (h *Host) ask(ctx context.Context, where ma.Multiaddr) (peer.ID, error) {
	network, target, err := manet.DialArgs(where)
	if err != nil || network != "tcp" && network != "tcp4" && network != "tcp6" {
		return "", errors.New("an address that is not TCP needs its /p2p/ID")
	}
	ctx, cancel := context.WithTimeout(ctx, h.cfg.DialTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, target)
	if err != nil {
		return "", unreachable(err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := mss.SelectProtoOrFail(protocol.ID(noise.ID), conn); err != nil {
		return "", h.silentOrForeign(ctx, err)
	}
	session, err := h.net.noise.WithSessionOptions(noise.DisablePeerIDCheck())
	if err != nil {
		return "", err
	}
	secure, err := session.SecureOutbound(ctx, conn, "")
	if err != nil {
		return "", h.silentOrForeign(ctx, err)
	}
	return secure.RemotePeer(), nil
}

// silentOrForeign is why a handshake failed with whoever took the connection.
func (h *Host) silentOrForeign(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return unreachable(fmt.Errorf("it took the connection, but said nothing within %s", h.cfg.DialTimeout))
	case ctx.Err() != nil:
		return unreachable(ctx.Err())
	}
	return unreachable(fmt.Errorf("it does not speak libp2p with Noise: %w", err))
}
