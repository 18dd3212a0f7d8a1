package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// ring is what is shown of GET /v1/ring.
type ring struct {
	Members []struct {
		ID         string   `json:"id"`
		PeerID     string   `json:"peer_id"`
		Multiaddrs []string `json:"multiaddrs"`
		State      string   `json:"state"`
	} `json:"members"`
	Slots []struct {
		Slot    int      `json:"slot"`
		Epoch   uint64   `json:"epoch"`
		State   string   `json:"state"`
		Members []string `json:"members"`
	} `json:"slots"`
	UnderReplicated int  `json:"under_replicated_slots"`
	Complete        bool `json:"complete"`

	raw []byte
}

func statusCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "Show members, slots and their health",
		Long: "Show the members of the cluster, and how many slots have all their copies. The cluster is\n" +
			"healthy when every slot answered and none is short of a copy; then the exit code is 0,\n" +
			"else 1. With --wait, ask again until it is healthy or the time is over.",
		Example: "  dyschord status\n  dyschord status --wait 1m && echo repaired\n  dyschord status --json",
		Args:    takes(0, 0, "no arguments"),
	}
	connect := gatewayFlags(c)
	asJSON := jsonFlag(c)
	wait := c.Flags().Duration("wait", 0, "time to wait for the cluster to become healthy")
	c.RunE = run(func(c *cobra.Command, _ []string) error {
		g, err := connect()
		if err != nil {
			return err
		}
		r, err := g.waitHealthy(c.Context(), *wait)
		if err != nil {
			return err
		}
		if *asJSON {
			err = writeRaw(c.OutOrStdout(), r.raw)
		} else {
			err = r.print(c.OutOrStdout(), g.describe(c.Context()))
		}
		if err == nil && !r.healthy() {
			err = exitf(exitFailed, "%s: wait with `dyschord status --wait 1m`, or bring the missing nodes back", r.verdict())
		}
		return err
	})
	return c
}

// waitHealthy reads the ring until it is healthy, at most for wait, and returns
// what it read last.
func (g *gateways) waitHealthy(ctx context.Context, wait time.Duration) (*ring, error) {
	deadline := time.Now().Add(wait)
	for {
		r, err := g.ring(ctx)
		if err == nil && r.healthy() || time.Now().After(deadline) || ctx.Err() != nil {
			return r, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(250 * time.Millisecond):
		}
	}
}

func (g *gateways) ring(ctx context.Context) (*ring, error) {
	a, err := g.do(ctx, request{method: http.MethodGet, path: "/v1/ring", accept: "application/json"})
	if err != nil {
		return nil, err
	}
	r := &ring{raw: a.body}
	if err := json.Unmarshal(a.body, r); err != nil {
		return nil, fmt.Errorf("answer is not what a gateway sends: %w: check --gateway", err)
	}
	return r, nil
}

// describe names the cluster, if the gateway says.
func (g *gateways) describe(ctx context.Context) string {
	var node struct {
		Cluster   string `json:"cluster"`
		Algorithm string `json:"algorithm"`
	}
	if g.getJSON(ctx, "/v1/node", &node) != nil {
		return "cluster"
	}
	return fmt.Sprintf("cluster %s (%s)", node.Cluster, node.Algorithm)
}

// healthy says whether every slot answered, with all its copies. A member that is
// gone does not matter once others hold what it held.
func (r *ring) healthy() bool { return r.UnderReplicated == 0 && len(r.Slots) > 0 }

func (r *ring) verdict() string {
	silent := 0
	for _, m := range r.Members {
		if m.State == "down" {
			silent++
		}
	}
	switch {
	case r.healthy() && silent > 0:
		return fmt.Sprintf("healthy: every slot has its copies, though %s not answer", does(silent, "member"))
	case r.healthy():
		return "healthy"
	}
	return fmt.Sprintf("not healthy: %s of %d without all copies in service", count(r.UnderReplicated, "slot"), len(r.Slots))
}

// does writes "1 member does" or "2 members do".
func does(n int, noun string) string {
	if n == 1 {
		return count(n, noun) + " does"
	}
	return count(n, noun) + " do"
}

func (r *ring) print(w io.Writer, cluster string) error {
	fmt.Fprintf(w, "%s: %s\n\n", cluster, r.verdict())
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "ID\tSTATE\tSLOTS\tADDRESS")
	for _, m := range r.Members {
		held := 0
		for _, s := range r.Slots {
			if slices.Contains(s.Members, m.ID) || slices.Contains(s.Members, m.PeerID) {
				held++
			}
		}
		address := "/p2p/" + m.PeerID
		if len(m.Multiaddrs) > 0 {
			address = m.Multiaddrs[0]
		}
		fmt.Fprintf(out, "%s\t%s\t%d\t%s\n", m.ID, m.State, held, address)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s, %s: %s\n", count(len(r.Members), "member"), count(len(r.Slots), "slot"), r.slotStates())
	return err
}

// slotStates counts the slots by state.
func (r *ring) slotStates() string {
	counts := map[string]int{}
	for _, s := range r.Slots {
		counts[s.State]++
	}
	var states []string
	for state := range counts {
		states = append(states, state)
	}
	slices.Sort(states)
	for i, state := range states {
		states[i] = fmt.Sprintf("%d %s", counts[state], state)
	}
	if len(states) == 0 {
		return "none known"
	}
	return strings.Join(states, ", ")
}
