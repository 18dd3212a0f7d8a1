package e2e

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// ledger is what was acknowledged: the value each key must have.
type ledger struct {
	mu     sync.Mutex
	values map[string]string
}

func (l *ledger) add(key, value string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.values == nil {
		l.values = map[string]string{}
	}
	l.values[key] = value
}

func (l *ledger) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.values)
}

// keys lists what was acknowledged so far.
func (l *ledger) keys() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.values))
}

// writer puts keys one after another through one gateway after another.
type writer struct {
	gateways []string
	ledger   *ledger
	patience time.Duration // longest time that a write may fail again and again
	worst    time.Duration // longest time that one did
	slowest  time.Duration // longest time that a write took, failed or not
}

// write puts a value until that is acknowledged. A write that failed is sent to the
// next gateway; that is right here because nobody else writes the key.
func (w *writer) write(turn int, key, value string) error {
	began := time.Now()
	for try := 0; ; try++ {
		err := put(w.gateways[(turn+try)%len(w.gateways)], key, value)
		took := time.Since(began)
		if err == nil {
			if try > 0 {
				w.worst = max(w.worst, took)
			}
			w.slowest = max(w.slowest, took)
			w.ledger.add(key, value)
			return nil
		}
		if took > w.patience {
			return fmt.Errorf("still failing after %s and %d tries: %w", took.Round(time.Millisecond), try+1, err)
		}
		pause()
	}
}

// writeAll puts n keys named after round by as many writers as given, which begin at
// different gateways.
func writeAll(round string, n, writers int, gateways []string, l *ledger) pain {
	GinkgoHelper()
	var wg sync.WaitGroup
	all := make([]*writer, writers)
	errs := make([]error, writers)
	for i := range writers {
		all[i] = &writer{gateways: gateways, ledger: l, patience: 30 * time.Second}
		wg.Go(func() {
			for k := i; k < n && errs[i] == nil; k += writers {
				key := fmt.Sprintf("%s/%d", round, k)
				errs[i] = all[i].write(i, key, "value of "+key)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		Expect(err).NotTo(HaveOccurred())
	}
	return felt(all)
}

// pain is what clients felt of what happened to the cluster.
type pain struct{ failing, slowest time.Duration }

// String is for reports.
func (p pain) String() string {
	return fmt.Sprintf("a write failed for at most %s; the slowest took %s", p.failing.Round(time.Millisecond), p.slowest.Round(time.Millisecond))
}

func felt(all []*writer) (p pain) {
	for _, w := range all {
		p.failing, p.slowest = max(p.failing, w.worst), max(p.slowest, w.slowest)
	}
	return p
}

// readAll requires every acknowledged key at every gateway. A gateway may take a
// moment to notice who died; it must never answer with less than what was written.
func readAll(gateways []string, l *ledger) {
	GinkgoHelper()
	const readers = 8
	keys := l.keys()
	var wg sync.WaitGroup
	errs := make([]error, readers*len(gateways))
	for i := range errs {
		gateway := gateways[i%len(gateways)]
		wg.Go(func() {
			for k := i / len(gateways); k < len(keys) && errs[i] == nil; k += readers {
				errs[i] = readUntil(gateway, keys[k], l.values[keys[k]])
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		Expect(err).NotTo(HaveOccurred())
	}
}

func readUntil(gateway, key, want string) error {
	for deadline := time.Now().Add(30 * time.Second); ; {
		got, found, err := read(gateway, key)
		switch {
		case err == nil && !found:
			return fmt.Errorf("%s lost the acknowledged key %s", gateway, key)
		case err == nil && got != want:
			return fmt.Errorf("%s has %q for key %s, not the acknowledged %q", gateway, got, key, want)
		case err == nil:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("still failing: %w", err)
		}
		pause()
	}
}

// pause keeps those who ask again and again from taking the processor.
func pause() { <-time.After(20 * time.Millisecond) }
