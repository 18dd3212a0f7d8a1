package p2p

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	mrand "math/rand/v2"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"dyschord/dht"
	"dyschord/net/wire"
)

// Host is one node's place in the network: its monitor, its streams, and what it
// knows of other nodes. Make one with New, give it services, then Start it.
type Host struct {
	monitor
	cfg      Config
	pid      peer.ID
	self     dht.Peer
	listen   []ma.Multiaddr
	announce []ma.Multiaddr // nil: what it listens on
	log      *slog.Logger
	rand     *mrand.Rand // guarded by the monitor

	net      *libp2pNet
	book     *book
	hear     func(record []byte) (dht.Peer, error) // book.hear
	codec    *wire.Codec
	services map[uint16]dht.Service // by message code; fixed at Start
	serving  []dht.Service
	local    *local
	refusals refusals
	counters counters

	ctx        context.Context // of activities
	cancel     context.CancelFunc
	netCtx     context.Context // of dials
	netCancel  context.CancelFunc
	activities group
	streams    group // goroutines of streams, and dials
	started    chan struct{}
	closing    sync.Once

	linksMu sync.RWMutex
	byRef   map[uint32]*link
}

// New makes a host. It opens no sockets: Start does.
func New(cfg Config) (*Host, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	h := &Host{
		cfg: cfg, log: cfg.Log, rand: newRand(),
		book:     newBook(cfg.Space, cfg.MaxPeers),
		byRef:    map[uint32]*link{},
		codec:    wire.NewCodec(nil),
		services: map[uint16]dht.Service{},
		started:  make(chan struct{}),
	}
	h.local = &local{h: h}
	h.hear = h.book.hear
	var err error
	if h.listen, err = parseAddrs("listen address", cfg.Listen); err != nil {
		return nil, err
	}
	if h.announce, err = parseAddrs("announced address", cfg.Announce); err != nil {
		return nil, err
	}
	if h.pid, err = peer.IDFromPrivateKey(cfg.Key.priv); err != nil {
		return nil, fmt.Errorf("p2p: identity of the key: %w", err)
	}
	if h.self, err = h.book.meet(h.pid, h.announce, cfg.ID); err != nil {
		return nil, err
	}
	h.self.Inc = cfg.Inc
	h.book.keep(h.self.Ref)
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.netCtx, h.netCancel = context.WithCancel(context.Background())
	resources, err := limits(cfg)
	if err == nil {
		h.net, err = newNet(cfg, h.pid, resources)
	}
	if err != nil {
		h.cancel()
		h.netCancel()
		return nil, err
	}
	return h, nil
}

func newRand() *mrand.Rand {
	var seed [16]byte
	_, _ = rand.Read(seed[:]) // it never fails
	return mrand.New(mrand.NewPCG(binary.LittleEndian.Uint64(seed[:]), binary.LittleEndian.Uint64(seed[8:])))
}

// Serve gives the host the services of the node. It is called once, before Start.
func (h *Host) Serve(services ...dht.Service) {
	var kinds []dht.Kind
	for _, s := range services {
		for _, k := range s.Kinds() {
			kinds = append(kinds, k)
			h.services[k.Code] = s
		}
	}
	h.serving = services
	h.codec = wire.NewCodec(kinds)
}

// Start listens and begins to serve. The error names the address that is at fault.
func (h *Host) Start() error {
	h.net.swarm.SetStreamHandler(h.receiveStream)
	if err := h.net.listen(h.listen); err != nil {
		return err
	}
	if len(h.announce) == 0 {
		addrs, err := h.net.swarm.InterfaceListenAddresses()
		if err != nil {
			return fmt.Errorf("p2p: addresses of this machine: %w", err)
		}
		h.announce = reachable(addrs)
		if _, err := h.book.meet(h.pid, h.announce, h.cfg.ID); err != nil {
			return err
		}
	}
	close(h.started)
	h.streams.start(h.sweep)
	return nil
}

func (h *Host) hello() wire.Hello { return h.cfg.hello(h.announce) }

// link returns what connects this host with a peer; nil if it has no contact.
func (h *Host) link(ref uint32) *link {
	h.linksMu.RLock()
	l := h.byRef[ref]
	h.linksMu.RUnlock()
	if l != nil {
		return l
	}
	pid, _, known := h.book.where(ref)
	if !known || ref == h.self.Ref {
		return nil
	}
	h.linksMu.Lock()
	defer h.linksMu.Unlock()
	if l = h.byRef[ref]; l == nil {
		l = &link{h: h, ref: ref, pid: pid, times: timeouts{cfg: &h.cfg.Timeouts}}
		h.byRef[ref] = l
	}
	return l
}

// links returns all of them.
func (h *Host) links() []*link {
	h.linksMu.RLock()
	defer h.linksMu.RUnlock()
	all := make([]*link, 0, len(h.byRef))
	for _, l := range h.byRef {
		all = append(all, l)
	}
	return all
}

func (h *Host) newWriter(to io.Writer, q *queue, most int) *writer {
	return &writer{to: to, queue: q, codec: h.codec, record: h.book.record, most: most, counters: &h.counters}
}

// PeerID returns the public name of this node's identity.
func (h *Host) PeerID() string { return h.pid.String() }

// Addrs returns the multiaddrs under which other nodes reach this one, each with its
// /p2p/ suffix. They are known after Start.
func (h *Host) Addrs() []string { return withID(h.announce, h.pid) }

// PeerIDOf returns the public name of a peer's identity, "" if it is not known.
func (h *Host) PeerIDOf(p dht.Peer) string {
	if pid, _, known := h.book.where(p.Ref); known {
		return pid.String()
	}
	return ""
}

// AddrsOf returns the multiaddrs of a peer, each with its /p2p/ suffix.
func (h *Host) AddrsOf(p dht.Peer) []string {
	pid, addrs, _ := h.book.where(p.Ref)
	return withID(addrs, pid)
}

func withID(addrs []ma.Multiaddr, pid peer.ID) []string {
	texts := make([]string, 0, len(addrs))
	for _, a := range addrs {
		texts = append(texts, a.String()+"/p2p/"+pid.String())
	}
	return texts
}

// flushTime bounds how long Close waits for what is queued to be written.
const flushTime = time.Second

// Close shuts the node down and returns when everything has ended:
//
//  1. no activity starts any more, the contexts of all end, every blocking call
//     returns dht.ErrClosed, and requests of others are answered with dht.ErrGaveUp;
//  2. it waits for the activities;
//  3. dials end, and what is queued is written, for a second at most;
//  4. connections and listeners close, and it waits for the goroutines of streams.
//
// Nobody is told: leaving an overlay is the overlay's business, before Close.
func (h *Host) Close() error {
	h.closing.Do(func() {
		h.cancel()
		<-h.activities.close()
		h.netCancel()
		ended := h.streams.close()
		for _, l := range h.links() {
			l.finish()
		}
		select {
		case <-ended:
		case <-time.After(flushTime):
		}
		h.net.close()
		<-ended
	})
	return nil
}

// finish lets the streams of l end once what is queued is written.
func (l *link) finish() {
	l.mu.Lock()
	out, in := l.out, l.in
	l.mu.Unlock()
	if out != nil {
		out.queue.close()
	}
	if in != nil {
		in.queue.close()
	}
}

// receiveStream hands a stream that another node opened to the handshake.
func (h *Host) receiveStream(s network.Stream) {
	if !h.streams.enter() {
		s.Reset() //nolint:errcheck // it is refused
		return
	}
	defer h.streams.leave()
	select {
	case <-h.started:
		h.receive(s)
	case <-h.netCtx.Done():
		s.Reset() //nolint:errcheck // it is refused
	}
}
