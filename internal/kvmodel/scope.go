package main

import "fmt"

// scope bounds what is explored.
type scope struct {
	nodes     int    // 1 to maxNodes
	genesis   int    // members of the first configuration, which exists from the start
	late      int    // of these, how many have yet to hear of it
	sizes     []int  // of later configurations: any members of these numbers
	epochs    uint8  // the last one that may be decided, to maxEpochs
	proposals uint8  // to maxProposals
	writes    uint8  // to maxWrites
	keys      string // of the writes, in order: "aab" is two to a and one to b
	retries   uint8  // requests that arrive again
	reads     uint8  // one at a time
	crashes   uint8
	rots      uint8 // records that become corrupt
	paged     bool  // a copy can be interrupted
	sweeps    bool  // nodes drop what they hold without being members
	lazy      bool  // what is heard, indexed or copied can be lost in a crash; else only writes
}

// validate refuses bounds beyond what a world can hold.
func (s *scope) validate() error {
	small := func(name string, n, low, high int) error {
		if n < low || n > high {
			return fmt.Errorf("%s is %d: %d to %d is allowed", name, n, low, high)
		}
		return nil
	}
	for _, err := range []error{
		small("nodes", s.nodes, 1, maxNodes),
		small("genesis", s.genesis, 1, s.nodes),
		small("late", s.late, 0, s.genesis-1),
		small("epochs", int(s.epochs), 1, maxEpochs),
		small("proposals", int(s.proposals), 0, maxProposals),
		small("writes", int(s.writes), 0, maxWrites),
		small("retries", int(s.retries), 0, 7),
		small("reads", int(s.reads), 0, 7),
		small("crashes", int(s.crashes), 0, 7),
		small("rots", int(s.rots), 0, 3),
		small("keys", len(s.keys), int(s.writes), maxWrites),
	} {
		if err != nil {
			return err
		}
	}
	for _, size := range s.sizes {
		if err := small("a size", size, 1, s.nodes); err != nil {
			return err
		}
	}
	for _, k := range s.keys {
		if k < 'a' || k >= 'a'+maxKeys {
			return fmt.Errorf("key %q: a and b are allowed", k)
		}
	}
	return nil
}

// studied is a scope that is explored to its end, and what for.
type studied struct {
	name  string
	scope scope
	large bool // more than a second or two
}

func studies() []studied {
	three, one, either := []int{3}, []int{1}, []int{1, 3}
	return []studied{
		{"two proposers and a crash", scope{nodes: 3, genesis: 3, sizes: three, epochs: 2, proposals: 2, writes: 1, keys: "a", crashes: 1}, true},
		{"growth and shrinking", scope{nodes: 3, genesis: 1, sizes: either, epochs: 3, proposals: 2, writes: 2, keys: "aa"}, true},
		{"growth with a crash and a read", scope{nodes: 3, genesis: 1, sizes: three, epochs: 2, proposals: 1, writes: 2, keys: "aa", crashes: 1, reads: 1}, false},
		{"a fourth node", scope{nodes: 4, genesis: 3, sizes: three, epochs: 2, proposals: 1, writes: 1, keys: "a"}, true},
		{"reads across epochs", scope{nodes: 3, genesis: 3, sizes: one, epochs: 2, proposals: 1, writes: 2, keys: "ab", reads: 2}, true},
		{"gaps and interrupted copies", scope{nodes: 3, genesis: 1, sizes: one, epochs: 3, proposals: 2, writes: 3, keys: "aba", paged: true}, true},
		{"requests that arrive again", scope{nodes: 3, genesis: 3, sizes: one, epochs: 2, proposals: 1, writes: 2, keys: "aa", retries: 2}, true},
		{"copies dropped", scope{nodes: 3, genesis: 1, sizes: []int{1, 2}, epochs: 3, proposals: 2, writes: 1, keys: "a", sweeps: true}, false},
		{"a corrupt record", scope{nodes: 3, genesis: 3, sizes: three, epochs: 2, proposals: 1, writes: 1, keys: "a", rots: 1, reads: 1}, false},
		{"disks that lose what nobody waited for", scope{nodes: 3, genesis: 3, sizes: three, epochs: 2, proposals: 1, writes: 1, keys: "a", crashes: 2, lazy: true}, false},
		{"a member that comes late", scope{nodes: 3, genesis: 3, late: 1, sizes: three, epochs: 2, proposals: 1, writes: 2, keys: "aa", crashes: 1}, true},
		{"epochs that a member misses", scope{nodes: 2, genesis: 1, sizes: []int{1, 2}, epochs: 4, proposals: 3, writes: 2, keys: "aa", crashes: 1}, true},
	}
}
