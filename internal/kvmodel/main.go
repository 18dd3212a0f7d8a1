package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

var errBroken = errors.New("an invariant does not hold")

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "kvmodel:", err)
		}
		os.Exit(1)
	}
}

// run explores the bounds that the arguments name and says what was found.
func run(args []string, out io.Writer) error {
	m, how, err := parse(args)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "exploring %+v, %+v\n", m.scope, m.departures)
	var res outcome[world]
	if how.walks > 0 {
		res = roam[world](m, how.seed, how.walks, how.steps)
	} else {
		res = explore[world](m, how.limit)
	}
	fmt.Fprintf(out, "%d states, %d steps deep, %d steps tried, %.0f s\n", res.states, res.depth, res.edges, res.took.Seconds())
	switch {
	case res.broken != "":
		tell(out, m, res)
		return errBroken
	case how.walks > 0:
		fmt.Fprintf(out, "%d walks: no invariant was broken\n", how.walks)
	case !res.complete:
		fmt.Fprintf(out, "stopped at %d states; no invariant was broken so far\n", how.limit)
	default:
		fmt.Fprintln(out, "every state within the bounds: no invariant is broken")
	}
	return nil
}

// manner is how the states are visited: all, up to a limit, or by walks at random.
type manner struct {
	limit, walks, steps int
	seed                uint64
}

func parse(args []string) (*model, manner, error) {
	var how manner
	f := flag.NewFlagSet("kvmodel", flag.ContinueOnError)
	var s scope
	f.IntVar(&s.nodes, "nodes", 3, "nodes")
	f.IntVar(&s.genesis, "genesis", 3, "members of the first configuration")
	f.IntVar(&s.late, "late", 0, "of these, how many have yet to hear of it")
	sizes := f.String("sizes", "3", "how many members later configurations may have, e.g. 1,3")
	small(f, &s.epochs, "epochs", 2, "the last epoch that may be decided")
	small(f, &s.proposals, "proposals", 2, "proposals")
	small(f, &s.writes, "writes", 2, "writes")
	f.StringVar(&s.keys, "keys", "aab", "the key of each write")
	small(f, &s.retries, "retries", 0, "requests that arrive again")
	small(f, &s.reads, "reads", 0, "reads")
	small(f, &s.crashes, "crashes", 1, "crashes")
	small(f, &s.rots, "rots", 0, "records that become corrupt")
	f.BoolVar(&s.paged, "paged", false, "copies can be interrupted")
	f.BoolVar(&s.sweeps, "sweeps", false, "nodes drop copies that they need not keep")
	f.BoolVar(&s.lazy, "lazy", false, "a crash can take what a node heard or copied and did not wait for")
	off := f.String("off", "", "departures to switch off, of sparse,skip,index,corrupt")
	without := f.String("without", "", "the name of a guard to leave out: "+strings.Join(guardNames(), ", "))
	f.IntVar(&how.limit, "limit", 20_000_000, "states to stop at")
	f.IntVar(&how.walks, "walks", 0, "visit states by this many random walks, not all of them")
	f.IntVar(&how.steps, "steps", 150, "the longest walk")
	f.Uint64Var(&how.seed, "seed", 1, "of the walks")
	if err := f.Parse(args); err != nil {
		return nil, how, err
	}
	m := &model{scope: s, departures: asBuilt()}
	for _, size := range strings.Split(*sizes, ",") {
		n, err := strconv.Atoi(size)
		if err != nil {
			return nil, how, fmt.Errorf("sizes %q: numbers with commas between are allowed", *sizes)
		}
		m.sizes = append(m.sizes, n)
	}
	if f.NArg() > 0 {
		return nil, how, fmt.Errorf("argument %q: only flags are allowed", f.Arg(0))
	}
	return m, how, errors.Join(m.validate(), m.switchOff(*off), m.leaveOut(*without))
}

// small defines a flag for a bound.
func small(f *flag.FlagSet, to *uint8, name string, value uint8, usage string) {
	*to = value
	f.Func(name, fmt.Sprintf("%s (default %d)", usage, value), func(text string) error {
		n, err := strconv.ParseUint(text, 10, 8)
		*to = uint8(n)
		return err
	})
}

// switchOff takes departures out by name.
func (m *model) switchOff(names string) error {
	for _, name := range strings.FieldsFunc(names, func(r rune) bool { return r == ',' }) {
		switch name {
		case "sparse":
			m.sparse = false
		case "skip":
			m.skip = false
		case "index":
			m.lazyIndex = false
		case "corrupt":
			m.leaveCorrupt = false
		default:
			return fmt.Errorf("departure %q: sparse, skip, index and corrupt are allowed", name)
		}
	}
	return nil
}

func guardNames() []string {
	var names []string
	for _, g := range wrongGuards() {
		names = append(names, g.name)
	}
	return names
}

func (m *model) leaveOut(name string) error {
	if name == "" {
		return nil
	}
	for _, g := range wrongGuards() {
		if g.name == name {
			m.without = g.guard
			return nil
		}
	}
	return fmt.Errorf("guard %q: allowed are %s", name, strings.Join(guardNames(), ", "))
}
