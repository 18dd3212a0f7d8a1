package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// takes accepts from least to most arguments and names them in its refusal.
func takes(least, most int, names string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) >= least && len(args) <= most {
			return nil
		}
		return usagef("%s takes %s, but got %s: see `%s --help`", c.CommandPath(), names, count(len(args), "argument"), c.CommandPath())
	}
}

// checkKey checks a key as far as a gateway would.
func checkKey(key string) error {
	if key == "" {
		return usagef("the key is empty: 1 to 1024 bytes are allowed")
	}
	if len(key) > 1024 {
		return usagef("the key has %d bytes: 1 to 1024 are allowed", len(key))
	}
	return nil
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
