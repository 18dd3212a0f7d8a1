package node

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"dyschord/dht"
	"dyschord/dht/overlays"
	"dyschord/kv"
	"dyschord/kv/gateway"
	"dyschord/kv/store"
	"dyschord/net/p2p"
	"dyschord/net/wire"
)

// Node is a running node: an overlay and the key-value layer on a libp2p host, with
// HTTP listeners. Its methods may be called from any goroutine.
type Node struct {
	cfg     Config
	log     *slog.Logger
	dir     *directory // nil: memory only
	store   store.Store
	host    *p2p.Host
	overlay dht.Overlay
	kv      *kv.Node
	web     listeners
	metrics *metrics
	began   time.Time

	member   bool     // it was part of a cluster before this start
	contacts [][]byte // members it knew then

	kept [][]byte // contacts on disk

	now    condition
	ctx    context.Context // of the node's own goroutines
	cancel context.CancelFunc
	own    sync.WaitGroup
	begun  chan struct{} // closed when Start returns
	asked  chan struct{} // to hand over
	left   chan struct{} // closed when the node has handed over
	stop   sync.Once
	done   chan struct{} // closed when the node has ended
	err    error         // why it ended by itself; written before done is closed
}

// Start opens the node's data and listeners and begins to join. It returns as soon
// as the node is alive; Ready waits until it serves. ctx bounds the start alone.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		if cfg.Bound != nil {
			cfg.Bound.Close() //nolint:errcheck // nothing was accepted from it
		}
		return nil, err
	}
	n := &Node{
		cfg: cfg, log: cfg.Log, began: time.Now(), web: listeners{gateway: listener{bound: cfg.Bound}},
		begun: make(chan struct{}), asked: make(chan struct{}, 1), left: make(chan struct{}), done: make(chan struct{}),
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.now.set(Starting)
	defer close(n.begun)
	if err := n.assemble(ctx); err != nil {
		n.end(err)
		return nil, err
	}
	n.now.set(Joining)
	n.own.Go(n.live)
	return n, nil
}

// assemble builds the node from its HTTP addresses and the disk up, so that whatever
// is wrong with them is said before any other node hears of it. The addresses come
// first: an occupied one leaves nothing on the disk.
func (n *Node) assemble(ctx context.Context) error {
	if err := n.web.open(n.cfg.Gateway, n.cfg.Admin); err != nil {
		return err
	}
	key, inc, err := n.openData()
	if err != nil {
		return err
	}
	n.metrics = newMetrics(n.cfg.Algorithm)
	n.host, err = p2p.New(p2p.Config{
		Key: key, Inc: inc, Listen: n.cfg.Listen, Announce: n.cfg.Announce,
		Space: n.cfg.Space, ID: n.cfg.ID, Settings: n.cfg.agreed(), MaxValue: n.cfg.MaxValue,
		Log: n.log, LogRPC: n.cfg.LogRPC, OnEvent: n.metrics.event,
	})
	if err != nil {
		return err
	}
	build, err := overlays.New(n.cfg.Algorithm, n.cfg.Overlay)
	if err != nil {
		return err
	}
	err = n.inside(ctx, func(context.Context) error {
		n.overlay = build(n.host.Env())
		n.kv, err = kv.New(n.host.Env(), n.overlay, n.store, n.storing())
		return err
	})
	if err != nil {
		return err
	}
	n.host.Serve(n.overlay, n.kv)
	if err := n.host.Start(); err != nil {
		return err
	}
	return n.openWeb()
}

// openWeb begins to answer HTTP requests.
func (n *Node) openWeb() error {
	n.metrics.registry.MustRegister(newCollector(n))
	web, err := gateway.New(gateway.Config{
		Space: n.cfg.Space, MaxValue: n.cfg.MaxValue, Replicas: n.cfg.Replicas, Tokens: n.cfg.Tokens,
		Timeout:  n.cfg.Timeout + n.cfg.Timeout/2, // the store's own end comes first and says more
		Registry: n.metrics.registry, Log: n.log, LogRequests: n.cfg.LogRequests,
	}, backend{n})
	if err != nil {
		return err
	}
	n.web.gateway.serve(web.Server(web.Public()), n.cfg.TLS, n.log)
	n.web.admin.serve(web.Server(web.Admin()), n.cfg.TLS, n.log)
	return nil
}

// storing is how the node takes part in the store.
func (n *Node) storing() kv.Config {
	return kv.Config{
		Space: n.cfg.Space, Slots: n.cfg.Slots, Replicas: n.cfg.Replicas,
		Heartbeat: n.cfg.Heartbeat, MaxValue: n.cfg.MaxValue, Timeout: n.cfg.Timeout,
		Fatal: func(err error) { n.fail(fmt.Errorf("the disk failed: %w", err)) },
	}
}

// inside runs f as an activity of the node and returns its error.
func (n *Node) inside(ctx context.Context, f func(context.Context) error) error {
	var failed error
	if err := n.host.Do(ctx, func(ctx context.Context) { failed = f(ctx) }); err != nil {
		return err
	}
	return failed
}

// agreed is what all members of a cluster must have in common.
func (c Config) agreed() []wire.Setting {
	all := []wire.Setting{
		{Name: "cluster", Value: c.Cluster},
		{Name: "algorithm", Value: c.Algorithm},
		{Name: "bits", Value: fmt.Sprint(c.Space.Width())},
		{Name: "hash", Value: c.Space.Hash.String()},
		{Name: "slots", Value: fmt.Sprint(c.Slots)},
	}
	for _, s := range overlays.Agreed(c.Algorithm, c.Overlay) {
		all = append(all, wire.Setting{Name: s.Name, Value: s.Value})
	}
	return all
}

// openData opens the data directory and the store in it, or memory.
func (n *Node) openData() (key p2p.Key, inc uint32, err error) {
	if n.cfg.DataDir == "" {
		n.log.Warn("no data directory: this node keeps everything in memory and forgets it when it stops")
		n.store = store.NewMemory(store.MemoryOptions{})
		key, err = p2p.NewKey()
		return key, uint32(n.began.Unix()), err
	}
	n.dir, err = openDirectory(n.cfg.DataDir, n.cfg.badge(), func(file string) error {
		_, err := p2p.LoadKey(file)
		return err
	})
	if err != nil {
		return key, 0, err
	}
	file, err := n.dir.key()
	if err != nil {
		return key, 0, err
	}
	if key, err = p2p.LoadKey(file); err != nil {
		return key, 0, err
	}
	if n.contacts, n.member, err = n.dir.peers(); err != nil {
		return key, 0, err
	}
	if inc, err = n.dir.nextBoot(n.began); err != nil {
		return key, 0, err
	}
	n.store, err = store.Open(store.Options{Dir: n.dir.file(storeFiles), Cache: n.cfg.Cache, Log: n.log})
	return key, inc, err
}

// live is the node's life from joining on.
func (n *Node) live() {
	err := n.join(n.ctx)
	if err == nil {
		err = n.inside(n.ctx, n.kv.Start)
	}
	if n.ctx.Err() != nil {
		return
	}
	if err != nil {
		n.fail(err)
		return
	}
	n.keepContacts(n.ctx) // before anything can be acknowledged
	n.now.move(Joining, Ready)
	n.log.Info("ready", "node", n.ID(), "peer", n.host.PeerID())
	n.serve()
}

// serve looks after a member until it ends or has left.
func (n *Node) serve() {
	ticker := time.NewTicker(contactEvery)
	defer ticker.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-n.asked:
			_ = n.handOver(n.ctx) // it was logged, and the state says it
		case <-n.left:
			wait(n.ctx, linger)
			n.fail(nil)
			return
		case <-ticker.C:
			n.keepContacts(n.ctx)
		}
	}
}

// fail ends the node for a reason of its own. It does not wait.
func (n *Node) fail(err error) {
	go func() {
		<-n.begun
		n.end(err)
	}()
}

// Close stops serving, then the node, and returns when all of it has ended. Its data
// stays. Nobody is told: to the others it is as if it had crashed, so that nothing
// moves if it is back soon; Leave is for good.
func (n *Node) Close() error {
	n.end(nil)
	return n.err
}

// end stops everything, once, and waits for that.
func (n *Node) end(err error) {
	n.stop.Do(func() {
		n.err = err
		n.now.set(Stopped)
		n.cancel()
		n.own.Wait()
		n.release()
		close(n.done)
	})
	<-n.done
}

// release closes what was opened, in reverse.
func (n *Node) release() {
	n.web.close()
	if n.host != nil {
		n.host.Close() //nolint:errcheck // it always works
	}
	if n.store != nil {
		if err := n.store.Close(); err != nil {
			n.log.Error("store did not close", "err", err)
		}
	}
	if n.dir != nil {
		n.dir.close() //nolint:errcheck // the lock goes with the file
	}
}

// Done is closed when the node has ended, by Close or by itself: refused by the
// others, left, or its disk failed. Err then says which.
func (n *Node) Done() <-chan struct{} { return n.done }

// Err is why the node ended by itself; nil after Close or Leave. It may be called
// when Done is closed.
func (n *Node) Err() error { return n.err }

// self is this node as its host knows it.
func (n *Node) self() dht.Peer { return n.host.Env().Self() }

// ID is the node's identifier, in hexadecimal as wide as the space.
func (n *Node) ID() string { return n.cfg.Space.Format(n.self().ID) }

// PeerID is the public name of the node's key.
func (n *Node) PeerID() string { return n.host.PeerID() }

// Addrs are the multiaddrs under which other nodes reach this one.
func (n *Node) Addrs() []string { return n.host.Addrs() }

// GatewayURL is where the gateway is reached, empty if there is none.
func (n *Node) GatewayURL() string { return n.web.gateway.url() }

// AdminURL is where the admin listener is reached, empty if there is none.
func (n *Node) AdminURL() string { return n.web.admin.url() }
