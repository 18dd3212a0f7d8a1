package p2p

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/gologshim"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/x/rate"
	ma "github.com/multiformats/go-multiaddr"
	mss "github.com/multiformats/go-multistream"
	"github.com/quic-go/quic-go"

	"dyschord/net/wire"
)

// libp2pNet is the part of libp2p that this host uses: connections that are
// encrypted, authenticated and multiplexed. There is no identify, ping, relay, NAT
// mapping or discovery: whom to talk to is the overlay's business.
type libp2pNet struct {
	swarm *swarm.Swarm
	peers peerstore.Peerstore
	quic  *quicreuse.ConnManager
	rcmgr network.ResourceManager
	mux   *mss.MultistreamMuxer[protocol.ID]
	noise *noise.Transport
}

// newNet sets up what cfg describes. It closes resources with the rest.
func newNet(cfg Config, pid peer.ID, resources network.ResourceManager) (n *libp2pNet, err error) {
	n = &libp2pNet{rcmgr: resources, mux: mss.NewMultistreamMuxer[protocol.ID]()}
	n.mux.AddHandler(wire.Protocol, nil)
	if os.Getenv("GOLOG_LOG_LEVEL") == "" {
		// libp2p logs to the standard error by itself; what matters it returns as errors.
		gologshim.SetDefaultHandler(slog.DiscardHandler)
	}
	defer func() {
		if err != nil {
			n.close()
			n, err = nil, fmt.Errorf("p2p: set libp2p up: %w", err)
		}
	}()
	if n.peers, err = pstoremem.NewPeerstore(); err != nil {
		return n, err
	}
	if err = n.peers.AddPrivKey(pid, cfg.Key.priv); err != nil {
		return n, err
	}
	n.swarm, err = swarm.NewSwarm(pid, n.peers, eventbus.NewBus(),
		swarm.WithResourceManager(n.rcmgr), swarm.WithDialRanker(rank),
		swarm.WithDialTimeout(cfg.DialTimeout), swarm.WithDialTimeoutLocal(cfg.DialTimeout),
		swarm.WithUDPBlackHoleSuccessCounter(nil), swarm.WithIPv6BlackHoleSuccessCounter(nil))
	if err != nil {
		return n, err
	}
	return n, n.addTransports(cfg)
}

func (n *libp2pNet) addTransports(cfg Config) error {
	muxers := []upgrader.StreamMuxer{{ID: yamux.ID, Muxer: yamux.DefaultTransport}}
	var err error
	if n.noise, err = noise.New(noise.ID, cfg.Key.priv, muxers); err != nil {
		return err
	}
	tls, err := libp2ptls.New(libp2ptls.ID, cfg.Key.priv, muxers)
	if err != nil {
		return err
	}
	up, err := upgrader.New([]sec.SecureTransport{n.noise, tls}, muxers, nil, n.rcmgr, nil)
	if err != nil {
		return err
	}
	// A port that several processes share is not noticed as occupied.
	t, err := tcp.NewTCPTransport(up, n.rcmgr, nil, tcp.DisableReuseport(), tcp.WithConnectionTimeout(cfg.DialTimeout))
	if err != nil {
		return err
	}
	var reset quic.StatelessResetKey
	var token quic.TokenGeneratorKey
	if err := errors.Join(derive(cfg.Key, "quic stateless reset", reset[:]), derive(cfg.Key, "quic token", token[:])); err != nil {
		return err
	}
	if n.quic, err = quicreuse.NewConnManager(reset, token); err != nil {
		return err
	}
	q, err := libp2pquic.NewTransport(cfg.Key.priv, n.quic, nil, nil, n.rcmgr)
	if err != nil {
		return err
	}
	return errors.Join(n.swarm.AddTransport(t), n.swarm.AddTransport(q))
}

// derive fills a key for one purpose, which nobody without the node's own can know.
func derive(key Key, purpose string, out []byte) error {
	raw, err := key.priv.Raw()
	if err != nil {
		return err
	}
	made, err := hkdf.Key(sha256.New, raw, nil, "dyschord "+purpose, len(out))
	copy(out, made)
	return err
}

// limits bounds what other nodes may make this one hold. Their number on one address
// is not limited: clusters live behind few addresses.
func limits(cfg Config) (network.ResourceManager, error) {
	conns := rcmgr.LimitVal(cfg.MaxConns)
	all := rcmgr.ResourceLimits{
		Conns: conns, ConnsInbound: conns, ConnsOutbound: conns, FD: 2 * conns,
		Streams: 4 * conns, StreamsInbound: 4 * conns, StreamsOutbound: 4 * conns,
		Memory: rcmgr.Unlimited64,
	}
	one := rcmgr.ResourceLimits{
		Conns: 8, ConnsInbound: 8, ConnsOutbound: 8, FD: 16,
		Streams: 16, StreamsInbound: 16, StreamsOutbound: 16,
		Memory: rcmgr.Unlimited64,
	}
	handshaking := all // before the peer is known: a part, so that strangers cannot take all
	part := max(16, conns/4)
	handshaking.Conns, handshaking.ConnsInbound, handshaking.FD = part, part, 2*part
	concrete := rcmgr.PartialLimitConfig{System: all, Transient: handshaking, PeerDefault: one}.Build(rcmgr.InfiniteLimits)
	subnet := []rcmgr.ConnLimitPerSubnet{{PrefixLength: 0, ConnCount: cfg.MaxConns}}
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(concrete),
		rcmgr.WithMetricsDisabled(), rcmgr.WithConnRateLimiters(&rate.Limiter{}), rcmgr.WithLimitPerSubnet(subnet, subnet))
}

// rank dials TCP at once and QUIC, which costs more, a moment later.
func rank(addrs []ma.Multiaddr) []network.AddrDelay {
	delays := make([]network.AddrDelay, len(addrs))
	tcp := false
	for _, a := range addrs {
		tcp = tcp || !isQUIC(a)
	}
	for i, a := range addrs {
		delays[i] = network.AddrDelay{Addr: a}
		if tcp && isQUIC(a) {
			delays[i].Delay = 250 * time.Millisecond
		}
	}
	return delays
}

func isQUIC(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_QUIC_V1)
	return err == nil
}

// listen opens all addresses or none.
func (n *libp2pNet) listen(addrs []ma.Multiaddr) error {
	for _, a := range addrs {
		err := n.swarm.AddListenAddr(a)
		if errors.Is(err, swarm.ErrNoTransport) {
			return fmt.Errorf("p2p: cannot listen on %s: only /ip4 or /ip6 with /tcp/PORT or /udp/PORT/quic-v1 is allowed", a)
		}
		if err != nil {
			return fmt.Errorf("p2p: cannot listen on %s: %w", a, err)
		}
	}
	return nil
}

// teach puts the addresses to dial in the place where the swarm looks for them.
func (n *libp2pNet) teach(pid peer.ID, addrs []ma.Multiaddr) {
	n.peers.ClearAddrs(pid)
	n.peers.AddAddrs(pid, addrs, peerstore.TempAddrTTL)
	n.swarm.Backoff().Clear(pid) // ours is another
}

// forget drops what libp2p keeps of a peer.
func (n *libp2pNet) forget(pid peer.ID) {
	n.swarm.ClosePeer(pid) //nolint:errcheck // there is nothing to be done about it
	n.peers.ClearAddrs(pid)
	n.peers.RemovePeer(pid)
}

// dialContext bounds the swarm's own patience as well.
func dialContext(ctx context.Context, d time.Duration) context.Context {
	return network.WithDialPeerTimeout(ctx, d)
}

// close ends everything and waits for it.
func (n *libp2pNet) close() {
	if n.swarm != nil {
		n.swarm.Close() //nolint:errcheck // it never fails
	}
	if n.quic != nil {
		n.quic.Close() //nolint:errcheck // sockets are gone either way
	}
	if n.rcmgr != nil {
		n.rcmgr.Close() //nolint:errcheck // it never fails
	}
	if n.peers != nil {
		n.peers.Close() //nolint:errcheck // memory only
	}
}
