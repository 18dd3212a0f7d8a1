package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"dyschord/dht"
	"dyschord/kv/node"
	"dyschord/kv/store"
)

func devCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run a whole cluster in this process, to try things out",
		Long: "Run a whole cluster in this process: several nodes on loopback, which talk to each other\n" +
			"over real sockets, each with an HTTP gateway of its own. Everything is kept in memory\n" +
			"unless --data-dir names a directory, where a later run finds it again. Reads no settings\n" +
			"file. ctrl-C stops it.",
		Example: "  dyschord dev\n  dyschord dev --nodes 9 --data-dir ./cluster",
		Args:    takes(0, 0, "no arguments"),
	}
	table := devTable()
	addSettingFlags(c, table, false)
	c.RunE = run(func(c *cobra.Command, _ []string) error {
		got, err := loader{table: table, flags: c.Flags()}.load()
		if err != nil {
			return err
		}
		if err := got.adoptNodes(); err != nil {
			return err
		}
		addresses, err := got.gateways()
		if err != nil {
			return err
		}
		d := &devCluster{settings: got.settings, stdout: c.OutOrStdout(), patience: 10 * time.Second}
		return d.run(c.Context(), addresses, c.ErrOrStderr())
	})
	return c
}

// devCluster is the nodes that dev runs.
type devCluster struct {
	settings settings
	stdout   io.Writer
	patience time.Duration // time after which the user is told what is waited for
	nodes    []*node.Node
	took     time.Duration // from the start until all was replicated
}

func (c *devCluster) run(ctx context.Context, addresses []string, stderr io.Writer) error {
	gateways, err := bindAll(addresses)
	if err != nil {
		return hint(err)
	}
	fmt.Fprintf(c.stdout, "Starting %s on this machine ...\n", count(c.settings.Nodes, "node"))
	began := time.Now()
	defer func() { _ = c.close() }() // a second time, where the first one said how it went
	if err := c.start(ctx, gateways, stderr); err != nil {
		return err
	}
	if err := c.settle(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // the user has changed his mind
		}
		return err
	}
	if err := keepNodes(c.settings.DataDir, len(c.nodes)); err != nil {
		return err
	}
	c.took = time.Since(began)
	c.explain(c.stdout)
	if err := c.watch(ctx, c.stdout); err != nil {
		return err
	}
	fmt.Fprintln(c.stdout, "\nStopping ...")
	return c.close()
}

// bindAll binds the addresses of all gateways before any node starts, so that an
// occupied one leaves no half of a cluster. An empty address has no listener.
func bindAll(addresses []string) (bound []net.Listener, err error) {
	bound = make([]net.Listener, len(addresses))
	for i, address := range addresses {
		if address == "" {
			continue
		}
		if bound[i], err = node.Bind(address); err != nil {
			closeAll(bound[:i])
			return nil, fmt.Errorf("node %d: %w", i+1, err)
		}
	}
	return bound, nil
}

func closeAll(bound []net.Listener) {
	for _, l := range bound {
		if l != nil {
			l.Close() //nolint:errcheck // nothing was accepted from it
		}
	}
}

// start starts the nodes, each with its gateway; all but the first join through the
// first.
func (c *devCluster) start(ctx context.Context, gateways []net.Listener, stderr io.Writer) error {
	log := newLog(c.settings, stderr)
	cache := store.NewCache(64 << 20)
	defer cache.Close()
	for i := range gateways {
		cfg := c.settings.node(log.With("node", i+1))
		cfg.Gateway, cfg.Bound, cfg.Admin, cfg.Cache = "", gateways[i], "127.0.0.1:0", cache
		cfg.DataDir = nodeDir(c.settings.DataDir, i+1)
		cfg.ID = c.place(i)
		if i > 0 {
			cfg.Bootstrap = c.nodes[0].Addrs()
		}
		n, err := node.Start(ctx, cfg)
		if err != nil {
			closeAll(gateways[i+1:])
			return fmt.Errorf("node %d: %w", i+1, hint(err))
		}
		c.nodes = append(c.nodes, n)
	}
	return nil
}

// place spreads the nodes evenly over a narrow space, where identifiers computed
// from keys would often fall on the same point. In a wide one they choose nothing.
func (c *devCluster) place(i int) *dht.ID {
	if c.settings.Bits > 16 {
		return nil
	}
	id := dht.NewID(0, uint64(i)<<c.settings.Bits/uint64(c.settings.Nodes))
	return &id
}

// gateways lists the addresses of the nodes' gateways: consecutive ports.
func (l loaded) gateways() ([]string, error) {
	all := make([]string, l.settings.Nodes)
	if l.settings.Gateway == "" {
		return all, nil
	}
	host, text, err := net.SplitHostPort(l.settings.Gateway)
	if err != nil {
		return nil, err // the table lets nothing else through
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, err
	}
	if port > 0 && port+len(all)-1 > 65535 {
		return nil, usagef("setting %s conflicts with %s: the ports from there on are not enough; port %d or less is allowed",
			l.show("gateway"), l.show("nodes"), 65536-len(all))
	}
	for i := range all {
		at := port
		if port > 0 {
			at += i
		}
		all[i] = net.JoinHostPort(host, strconv.Itoa(at))
	}
	return all, nil
}

// settle waits until every node serves and every value has all its copies. When that
// takes long, it says again and again what is missing.
func (c *devCluster) settle(ctx context.Context) error {
	for i, n := range c.nodes {
		for {
			patient, cancel := context.WithTimeout(ctx, c.patience)
			err := n.Settled(patient, len(c.nodes))
			cancel()
			if err == nil {
				break
			}
			var waiting *node.Unsettled
			if ctx.Err() != nil || !errors.As(err, &waiting) {
				return fmt.Errorf("node %d: %w", i+1, err)
			}
			fmt.Fprintf(c.stdout, "  still waiting, node %d says: %s\n", i+1, waiting.Why)
		}
	}
	return nil
}

// watch returns when ctx ends, or when no node is left. A node that ends in any other
// way than by leaving ends all.
func (c *devCluster) watch(ctx context.Context, stdout io.Writer) error {
	type end struct {
		i   int
		err error
	}
	ends := make(chan end, len(c.nodes))
	var watchers sync.WaitGroup
	defer watchers.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for i, n := range c.nodes {
		watchers.Go(func() {
			select {
			case <-n.Done():
				ends <- end{i, n.Err()}
			case <-ctx.Done():
			}
		})
	}
	for left := len(c.nodes); left > 0; left-- {
		select {
		case <-ctx.Done():
			return nil
		case e := <-ends:
			if e.err != nil {
				return fmt.Errorf("node %d: %w", e.i+1, e.err)
			}
			fmt.Fprintf(stdout, "\nNode %d has left; its data is on the others.\n", e.i+1)
		}
	}
	return nil
}

// close stops all nodes at once.
func (c *devCluster) close() error {
	errs := make([]error, len(c.nodes))
	var closing sync.WaitGroup
	for i, n := range c.nodes {
		closing.Go(func() { errs[i] = n.Close() })
	}
	closing.Wait()
	return errors.Join(errs...)
}
