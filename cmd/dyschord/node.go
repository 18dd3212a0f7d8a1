package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"dyschord/kv/node"
)

func nodeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "node",
		Short: "Run one node",
		Long: "Run one node until it is interrupted or told to leave. Without --bootstrap and without\n" +
			"stored state it founds a new cluster; with --bootstrap it joins one, and keeps trying until\n" +
			"a member lets it in. The settings below can also be given in the environment and in a file:\n" +
			"see `dyschord config example`.",
		Example: "  dyschord node\n" +
			"  dyschord node --data-dir second --listen /ip4/127.0.0.1/tcp/4002 --gateway 127.0.0.1:8081 \\\n" +
			"    --admin 127.0.0.1:9081 --bootstrap /ip4/127.0.0.1/tcp/4001",
		Args: takes(0, 0, "no arguments"),
	}
	table := settingTable()
	addSettingFlags(c, table, true)
	c.RunE = run(func(c *cobra.Command, _ []string) error {
		got, err := loader{table: table, flags: c.Flags(), file: true}.load()
		if err != nil {
			return err
		}
		return runNode(c.Context(), got, c.ErrOrStderr())
	})
	return c
}

// runNode runs a node until ctx ends or the node ends by itself.
func runNode(ctx context.Context, l loaded, stderr io.Writer) (err error) {
	cfg := l.settings.node(newLog(l.settings, stderr))
	if cfg.Tokens, cfg.TLS, err = l.access(); err != nil {
		return err
	}
	n, err := node.Start(ctx, cfg)
	if err != nil {
		return hint(err)
	}
	cfg.Log.Info("serving", "gateway", n.GatewayURL(), "admin", n.AdminURL(), "addrs", n.Addrs())
	select {
	case <-ctx.Done():
		cfg.Log.Info("stopping")
		return n.Close()
	case <-n.Done():
		return hint(n.Err())
	}
}

func newLog(s settings, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.LogLevel)) // one of its names: the table lets nothing else through
	opts := &slog.HandlerOptions{Level: level}
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// node translates settings into what the node takes, all but the content of files.
func (s settings) node(log *slog.Logger) node.Config {
	cfg := node.Config{
		Cluster: s.Cluster, Algorithm: s.Algorithm, Space: s.space(),
		Slots: s.Slots, Replicas: s.Replicas, Heartbeat: s.Heartbeat, MaxValue: s.MaxValue, Timeout: s.Timeout,
		Overlay: s.overlay(),
		Listen:  s.Listen, Announce: s.Announce, Bootstrap: s.Bootstrap,
		Gateway: s.Gateway, Admin: s.Admin, Insecure: s.Insecure,
		DataDir: s.DataDir,
		Log:     log, LogRequests: s.LogRequests, LogRPC: s.LogRPC,
		Version: thisBuild().String(),
	}
	if s.ID != "" {
		id, _ := s.space().Parse(s.ID) // it was checked with the other settings
		cfg.ID = &id
	}
	return cfg
}

// String is what a person calls this build.
func (b build) String() string {
	if b.Version != "(devel)" || b.Revision == "" {
		return b.Version
	}
	return fmt.Sprintf("devel-%.12s", b.Revision)
}
