package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

func leaveCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "leave --admin URL",
		Short: "Make a node hand over its data and stop",
		Long: "Ask the node with this admin listener to leave the cluster. Returns when its data is safe\n" +
			"on other nodes; the node then exits. The last node of a cluster has nobody to hand its\n" +
			"data to: it says so and stays.",
		Example: "  dyschord leave --admin http://127.0.0.1:9080\n  dyschord leave --admin http://127.0.0.1:9080 --json",
		Args:    takes(0, 0, "no arguments"),
	}
	admin := c.Flags().String("admin", "", "URL of the node's admin listener (required)")
	token, timeout := accessFlags(c)
	asJSON := jsonFlag(c)
	c.RunE = run(func(c *cobra.Command, _ []string) error {
		if *admin == "" {
			return usagef("no node: name its admin listener with --admin, such as --admin http://127.0.0.1:9080")
		}
		g, err := newGateways([]string{*admin}, "flag --admin", *token, *timeout)
		if err != nil {
			return err
		}
		if _, err := g.do(c.Context(), request{method: http.MethodPost, path: "/v1/node/leave"}); err != nil {
			return err
		}
		node, err := g.waitLeft(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), node)
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), "the node has left: its data is on other nodes")
		return err
	})
	return c
}

// leaver is what is read of GET /v1/node while a node leaves, and what leave prints
// for programs.
type leaver struct {
	ID     string `json:"id"`
	State  string `json:"state"`
	Detail string `json:"detail,omitempty"`
}

// waitLeft follows the node's state until it has left.
func (g *gateways) waitLeft(ctx context.Context) (node leaver, err error) {
	for {
		node = leaver{}
		err := g.getJSON(ctx, "/v1/node", &node)
		switch {
		case err != nil:
			return node, exitf(exitUnknown, "the node stopped answering while it was leaving: %w: see `dyschord status` at another node", err)
		case node.State == "left" || node.State == "stopped":
			return node, nil
		case node.State != "leaving":
			return node, fmt.Errorf("the node did not leave: %s: start another node to take its data, or only stop it: its data stays in its directory", node.Detail)
		}
		select {
		case <-ctx.Done():
			return node, exitf(exitUnknown, "interrupted: the node goes on leaving")
		case <-time.After(100 * time.Millisecond):
		}
	}
}
