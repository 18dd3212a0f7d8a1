package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

const keyPrefix = "/v1/kv/"

func putCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "put KEY [VALUE | - | @FILE]",
		Short: "Store a value",
		Long: "Store a value under a key. The value is the argument itself, standard input (-, or no\n" +
			"argument), or a file (@FILE). A value that begins with @ is written with two.\n" +
			"When put returns, a majority of the key's replicas has the value on disk.",
		Example: "  dyschord put greeting hello\n  dyschord put photo @cat.jpg --type image/jpeg\n  tar c . | dyschord put backup -",
		Args:    takes(1, 2, "a key and a value"),
	}
	kind := c.Flags().String("type", "application/octet-stream", "content type to store with the value")
	asJSON := jsonFlag(c)
	return aboutKey(c, keyPrefix, func(rest []string) (request, error) {
		value, err := readValue(rest, c.InOrStdin())
		return request{method: http.MethodPut, body: value, kind: *kind}, err
	}, func(w io.Writer, key string, r request, a *answer) error {
		return printStored(w, key, len(r.body), a, *asJSON)
	})
}

// readValue returns the value that the arguments after the key name.
func readValue(args []string, stdin io.Reader) ([]byte, error) {
	if len(args) == 0 && isTerminal(stdin) {
		return nil, usagef("no value: give it as an argument, as @FILE, or as - to type it")
	}
	if len(args) == 0 || args[0] == "-" {
		return readAll(stdin, "standard input")
	}
	rest, at := strings.CutPrefix(args[0], "@")
	if !at || strings.HasPrefix(rest, "@") {
		return []byte(rest), nil
	}
	file, err := os.Open(rest)
	if err != nil {
		return nil, usagef("value: %w: name a file that can be read", err)
	}
	defer file.Close()
	return readAll(file, rest)
}

func readAll(r io.Reader, name string) ([]byte, error) {
	value, err := io.ReadAll(io.LimitReader(r, maxValue+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(value) > maxValue {
		return nil, usagef("%s holds more than %d MiB, which no cluster takes as one value: split it", name, maxValue>>20)
	}
	return value, nil
}

func isTerminal(r io.Reader) bool {
	file, ok := r.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull) // a device too, but nobody types there
	return err != nil || !os.SameFile(info, null)
}

// stored is the outcome of a put, for programs.
type stored struct {
	Key     string `json:"key"`
	Version uint64 `json:"version,omitempty"` // what the value's ETag has in quotes; left out if it has something else
	Created bool   `json:"created"`           // there was no value before
	Size    int    `json:"size"`
	Acks    string `json:"acks"` // replicas that had it on disk, of how many
}

func printStored(w io.Writer, key string, size int, a *answer, asJSON bool) error {
	version, _ := strconv.ParseUint(strings.Trim(a.header.Get("ETag"), `"`), 10, 64) // 0: the value is stored all the same
	s := stored{key, version, a.status == http.StatusCreated, size, a.header.Get("Dyschord-Acks")}
	if asJSON {
		return printJSON(w, s)
	}
	done, all, _ := strings.Cut(s.Acks, "/")
	_, err := fmt.Fprintf(w, "stored %q: %s, version %d, on %s of %s replicas\n", key, count(size, "byte"), s.Version, done, all)
	return err
}

func getCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "get KEY",
		Short:   "Print a value",
		Long:    "Print the latest value of a key to standard output, byte for byte.",
		Example: "  dyschord get greeting\n  dyschord get photo > cat.jpg\n  dyschord get greeting --json",
		Args:    takes(1, 1, "a key"),
	}
	asJSON := c.Flags().Bool("json", false, "print JSON with the value in base64, its version and content type")
	return aboutKey(c, keyPrefix, func([]string) (request, error) {
		r := request{method: http.MethodGet}
		if *asJSON {
			r.accept = "application/json"
		}
		return r, nil
	}, func(w io.Writer, _ string, _ request, a *answer) error {
		if _, err := w.Write(a.body); err != nil {
			return fmt.Errorf("write the value: %w", err)
		}
		return nil
	})
}

// deleted is the outcome of a delete, for programs.
type deleted struct {
	Key  string `json:"key"`
	Acks string `json:"acks"` // as of a put
}

func deleteCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "delete KEY",
		Short:   "Remove a key",
		Long:    "Remove a key and its value. It is no error if there was none.",
		Example: "  dyschord delete greeting\n  dyschord delete greeting --json",
		Args:    takes(1, 1, "a key"),
	}
	asJSON := jsonFlag(c)
	return aboutKey(c, keyPrefix, func([]string) (request, error) {
		return request{method: http.MethodDelete}, nil
	}, func(w io.Writer, key string, _ request, a *answer) error {
		if *asJSON {
			return printJSON(w, deleted{key, a.header.Get("Dyschord-Acks")})
		}
		_, err := fmt.Fprintf(w, "deleted %q\n", key)
		return err
	})
}

// aboutKey makes c a command that asks a gateway one thing about the key in its first
// argument, whose path is below prefix: ask makes the request from the arguments
// after the key, show prints the answer.
func aboutKey(c *cobra.Command, prefix string,
	ask func(rest []string) (request, error), show func(w io.Writer, key string, r request, a *answer) error,
) *cobra.Command {
	connect := gatewayFlags(c)
	c.RunE = run(func(c *cobra.Command, args []string) error {
		key := args[0]
		if err := checkKey(key); err != nil {
			return err
		}
		g, err := connect()
		if err != nil {
			return err
		}
		r, err := ask(args[1:])
		if err != nil {
			return err
		}
		r.path = keyPath(prefix, key)
		a, err := g.do(c.Context(), r)
		if err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
		return show(c.OutOrStdout(), key, r, a)
	})
	return c
}
