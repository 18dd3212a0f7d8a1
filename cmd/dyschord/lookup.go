package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// lookupAnswer is what is shown of GET /v1/lookup/{key}.
type lookupAnswer struct {
	KeyID  string `json:"key_id"`
	Slot   int    `json:"slot"`
	SlotID string `json:"slot_id"`
	Owners []struct {
		ID     string `json:"id"`
		PeerID string `json:"peer_id"`
	} `json:"owners"`
	Hops []struct {
		ID        string  `json:"id"`
		PeerID    string  `json:"peer_id"`
		LatencyMS float64 `json:"latency_ms"`
		Why       string  `json:"why"`
	} `json:"hops"`
	Messages int     `json:"messages"`
	Timeouts int     `json:"timeouts"`
	TookMS   float64 `json:"took_ms"`
}

func lookupCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "lookup KEY",
		Short: "Show who holds a key, and how the lookup went, hop by hop",
		Long: "Show which nodes the overlay names for a key's slot, best first, and the way from the\n" +
			"gateway's node to the first of them. The key need not exist.",
		Example: "  dyschord lookup greeting\n  dyschord lookup greeting --json",
		Args:    takes(1, 1, "a key"),
	}
	asJSON := jsonFlag(c)
	return aboutKey(c, "/v1/lookup/", func([]string) (request, error) {
		return request{method: http.MethodGet, accept: "application/json"}, nil
	}, func(w io.Writer, key string, _ request, a *answer) error {
		if *asJSON {
			return writeRaw(w, a.body)
		}
		var found lookupAnswer
		if err := json.Unmarshal(a.body, &found); err != nil {
			return fmt.Errorf("answer is not what a gateway sends: %w: check --gateway", err)
		}
		return found.print(w, key)
	})
}

func (l lookupAnswer) print(w io.Writer, key string) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "key %q has identifier %s\nits slot, %d, begins at %s: that was looked up\n\nOWNER\tID\tPEER\n", key, l.KeyID, l.Slot, l.SlotID)
	for i, owner := range l.Owners {
		fmt.Fprintf(out, "%d\t%s\t%s\n", i+1, owner.ID, owner.PeerID)
	}
	if len(l.Hops) == 0 {
		fmt.Fprint(out, "\nno hop: the node that was asked is the first owner itself\n")
	} else {
		fmt.Fprint(out, "\nHOP\tID\tPEER\tLATENCY\tWHY\n")
	}
	for i, hop := range l.Hops {
		fmt.Fprintf(out, "%d\t%s\t%s\t%s\t%s\n", i+1, hop.ID, hop.PeerID, milliseconds(hop.LatencyMS), hop.Why)
	}
	fmt.Fprintf(out, "\n%s, %s, %s\n", count(l.Messages, "message"), count(l.Timeouts, "time-out"), milliseconds(l.TookMS))
	return out.Flush()
}

// milliseconds writes a latency; a hop that was named but not asked has none.
func milliseconds(ms float64) string {
	if ms == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f ms", ms)
}

// writeRaw passes a JSON document on as the gateway sent it.
func writeRaw(w io.Writer, body []byte) error {
	_, err := w.Write(append(body[:len(body):len(body)], '\n'))
	return err
}
