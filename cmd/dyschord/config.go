package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func configCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "config",
		Short:   "Show settings",
		Example: "  dyschord config print\n  dyschord config example > dyschord.yaml",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(configPrintCommand(), configExampleCommand())
	return c
}

func configPrintCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "print",
		Short: "Print the effective settings of a node and where each came from",
		Long: "Print the settings that `dyschord node` would run with, given the same flags,\n" +
			"environment and file, and where each came from. Stops at the first that is wrong.",
		Example: "  dyschord config print --replicas 5\n  dyschord config print --config site.toml --json",
		Args:    cobra.NoArgs,
	}
	table := settingTable()
	addSettingFlags(c, table, true)
	asJSON := jsonFlag(c)
	c.RunE = run(func(c *cobra.Command, _ []string) error {
		got, err := loader{table: table, flags: c.Flags(), file: true}.load()
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), got.print(table))
		}
		out := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(out, "SETTING\tVALUE\tSOURCE")
		for _, s := range table {
			fmt.Fprintf(out, "%s\t%s\t%s\n", s.key, inline(got.values[s.key]), got.sources[s.key])
		}
		return out.Flush()
	})
	return c
}

// printed is one setting in the output of config print --json.
type printed struct {
	Setting string `json:"setting"`
	Value   any    `json:"value"`
	Source  string `json:"source"`         // flag, environment, file or default
	Name    string `json:"name,omitempty"` // of the flag, the variable or the file
}

func (l loaded) print(table []setting) []printed {
	var out []printed
	for _, s := range table {
		value := l.values[s.key]
		if d, ok := value.(time.Duration); ok {
			value = d.String()
		}
		out = append(out, printed{s.key, value, l.sources[s.key].from, l.sources[s.key].name})
	}
	return out
}

func configExampleCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "example",
		Short:   "Print a settings file in which every setting is explained and at its default",
		Example: "  dyschord config example > dyschord.yaml",
		Args:    cobra.NoArgs,
		RunE:    run(func(c *cobra.Command, _ []string) error { return writeExample(c.OutOrStdout(), settingTable()) }),
	}
}

const exampleHead = `# Settings of a dyschord node, each explained and at its default.
#
# Copy what you change to dyschord.yaml in the directory where the node runs, or name
# the file with --config. JSON and TOML do as well. Every setting is also a flag
# (--data-dir) and an environment variable (DYSCHORD_DATA_DIR; DYSCHORD_CHORD_SUCCESSORS
# for chord.successors; lists with commas). A flag wins over the environment, that over
# the file. "dyschord config print" shows what holds and why.
`

// writeExample writes the table as a YAML file. Keys with a dot follow each other
// and become one nested block.
func writeExample(w io.Writer, table []setting) error {
	var b strings.Builder
	b.WriteString(exampleHead)
	block := ""
	for _, s := range table {
		if s.group != "" {
			fmt.Fprintf(&b, "\n# --- %s\n", s.group)
		}
		parent, leaf, nested := strings.Cut(s.key, ".")
		indent := ""
		if nested {
			indent = "  "
			if parent != block {
				fmt.Fprintf(&b, "\n%s:", parent)
			}
			block = parent
		} else {
			leaf = s.key
		}
		b.WriteString("\n")
		for line := range strings.SplitSeq(s.about, "\n") {
			fmt.Fprintf(&b, "%s# %s\n", indent, line)
		}
		fmt.Fprintf(&b, "%s%s: %s\n", indent, leaf, inline(s.def))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// jsonFlag declares --json.
func jsonFlag(c *cobra.Command) *bool {
	return c.Flags().Bool("json", false, "print JSON, for programs")
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
