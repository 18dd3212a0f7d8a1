package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
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
		return runDev(c.Context(), got.settings, c.OutOrStdout(), c.ErrOrStderr())
	})
	return c
}

// nodeDir is where dev keeps its i-th node, from 1.
func nodeDir(dir string, i int) string {
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "node"+strconv.Itoa(i))
}

// adoptNodes takes the number of nodes from the data directory, where there are some
// already. Fewer would leave data without a majority of its replicas.
func (l *loaded) adoptNodes() error {
	kept := 0
	for l.settings.DataDir != "" {
		if _, err := os.Stat(nodeDir(l.settings.DataDir, kept+1)); err != nil {
			break
		}
		kept++
	}
	if l.sources["nodes"].from == "default" && kept > 0 {
		l.settings.Nodes = kept
	}
	if l.settings.Nodes < kept {
		return usagef("setting %s conflicts with %s: it holds the data of %d nodes, and with fewer some of it could not be read; run at least %d, or name another directory",
			l.show("nodes"), l.show("data-dir"), kept, kept)
	}
	return nil
}

// devCluster is the nodes that dev runs.
type devCluster struct {
	settings settings
	nodes    []*node.Node
	took     time.Duration // from the start until all was replicated
}

func runDev(ctx context.Context, s settings, stdout, stderr io.Writer) error {
	fmt.Fprintf(stdout, "Starting %s on this machine ...\n", count(s.Nodes, "node"))
	began := time.Now()
	c := &devCluster{settings: s}
	defer c.close()
	if err := c.start(ctx, stderr); err != nil {
		return err
	}
	if err := c.settle(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // the user has changed his mind
		}
		return err
	}
	c.took = time.Since(began)
	c.explain(stdout)
	if err := c.watch(ctx, stdout); err != nil {
		return err
	}
	fmt.Fprintln(stdout, "\nStopping ...")
	return c.close()
}

// start starts the nodes; all but the first join through the first.
func (c *devCluster) start(ctx context.Context, stderr io.Writer) error {
	gateways, err := c.gateways()
	if err != nil {
		return err
	}
	log := newLog(c.settings, stderr)
	cache := store.NewCache(64 << 20)
	defer cache.Close()
	for i, gateway := range gateways {
		cfg, err := c.settings.node(log.With("node", i+1))
		if err != nil {
			return err
		}
		cfg.Gateway, cfg.Admin, cfg.Cache = gateway, "127.0.0.1:0", cache
		cfg.DataDir = nodeDir(c.settings.DataDir, i+1)
		cfg.ID = c.place(i)
		if i > 0 {
			cfg.Bootstrap = c.nodes[0].Addrs()
		}
		n, err := node.Start(ctx, cfg)
		if err != nil {
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
func (c *devCluster) gateways() ([]string, error) {
	all := make([]string, c.settings.Nodes)
	if c.settings.Gateway == "" {
		return all, nil
	}
	host, text, err := net.SplitHostPort(c.settings.Gateway)
	if err != nil {
		return nil, err // the table lets nothing else through
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, err
	}
	if port > 0 && port+len(all)-1 > 65535 {
		return nil, usagef("setting gateway: %q leaves no ports for %d nodes: at most %d is allowed", c.settings.Gateway, len(all), 65536-len(all))
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

// settle waits until every node serves and every value has all its copies.
func (c *devCluster) settle(ctx context.Context) error {
	for i, n := range c.nodes {
		if err := n.Settled(ctx, len(c.nodes)); err != nil {
			return fmt.Errorf("node %d: %w", i+1, err)
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
