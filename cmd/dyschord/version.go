package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build identifies this binary.
type build struct {
	Version  string `json:"version"`  // of the module; "(devel)" for a build from a checkout
	Revision string `json:"revision"` // of the source, empty if not known
	Modified bool   `json:"modified"` // the source differed from the revision
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func thisBuild() build {
	b := build{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func versionCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this program",
		Example: "  dyschord version --json",
		Args:    cobra.NoArgs,
	}
	asJSON := jsonFlag(c)
	c.RunE = run(func(c *cobra.Command, _ []string) error {
		b := thisBuild()
		if *asJSON {
			return printJSON(c.OutOrStdout(), b)
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "dyschord %s (%s, %s)\n", b.Version, b.Go, b.Platform)
		return err
	})
	return c
}
