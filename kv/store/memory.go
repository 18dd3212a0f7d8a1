package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/RaduBerinde/btreemap"
)

// MemoryOptions configures a store in memory. The zero value works.
type MemoryOptions struct {
	// Limit is the number of bytes of keys and values above which batches that store
	// values are refused with ErrFull. Default 0: no limit.
	Limit int64
	// Crashable keeps what is needed to undo batches that nobody waited for, so that
	// Crash can take them away. Default false: every batch counts as durable at once.
	Crashable bool
}

// Memory is a store in memory. With Crashable it models a disk: what was applied is
// durable once a Commit at or after it was waited for, and Crash loses a part of the
// rest. Everything about it is deterministic.
type Memory struct {
	view
	opts MemoryOptions

	mu      sync.Mutex
	data    *tree
	undo    journal
	applied uint64 // batches
	full    bool   // as SetFull says
	failed  error  // as Fail says
	closed  bool
	crashed bool
	stats   Stats
}

// NewMemory returns an empty store.
func NewMemory(opts MemoryOptions) *Memory { return newMemory(opts, newTree(), 0) }

func newMemory(opts MemoryOptions, data *tree, bytes int64) *Memory {
	m := &Memory{opts: opts, data: data, stats: Stats{Bytes: bytes}}
	m.view = view{memoryReader{m}}
	return m
}

// Apply makes b visible before it returns.
func (m *Memory) Apply(b *Batch) (Commit, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.admit(b); err != nil {
		return nil, err
	}
	p, err := newPlan(m.find, b)
	if err != nil {
		return nil, err
	}
	m.applied++
	m.undo.begin(m.applied)
	for i := range p.changes {
		m.change(&p.changes[i])
	}
	if !m.opts.Crashable {
		m.settle(m.applied)
	} else if n := m.undo.overflow(); n > 0 {
		m.settle(n)
	}
	return memoryCommit{m, m.applied}, nil
}

func (m *Memory) admit(b *Batch) error {
	switch {
	case m.closed:
		return ErrClosed
	case m.failed != nil:
		return m.failed
	case m.full && b.bulky():
		return fmt.Errorf("store: %w", ErrFull)
	case m.opts.Limit > 0 && m.stats.Bytes+b.size() > m.opts.Limit && b.bulky():
		return fmt.Errorf("store: %w: %d bytes are stored, the limit is %d", ErrFull, m.stats.Bytes, m.opts.Limit)
	}
	return nil
}

// find is a finder. The caller holds the lock.
func (m *Memory) find(at []byte) (uint64, error) { return seqAt(treeReader{m.data}, at) }

func (m *Memory) change(c *change) {
	switch c.kind {
	case setKey:
		m.put(string(c.key), c.value)
	case deleteKey:
		m.put(string(c.key), nil)
	case deleteSpan:
		var doomed []string
		for key := range m.data.Ascend(btreemap.GE(string(c.key)), btreemap.LT(string(c.value))) {
			doomed = append(doomed, key)
		}
		for _, key := range doomed {
			m.put(key, nil)
		}
	}
}

// put replaces the value of key, or deletes it if value is nil, and keeps the old
// one for an undo.
func (m *Memory) put(key string, value []byte) {
	old := m.replace(key, value)
	if m.opts.Crashable {
		m.undo.add(key, old)
	}
}

func (m *Memory) replace(key string, value []byte) (old []byte) {
	if value == nil {
		_, old, _ = m.data.Delete(key)
	} else {
		_, old, _ = m.data.ReplaceOrInsert(key, value)
		m.stats.Bytes += int64(len(key) + len(value))
	}
	if old != nil {
		m.stats.Bytes -= int64(len(key) + len(old))
	}
	return old
}

// settle makes all batches up to n durable.
func (m *Memory) settle(n uint64) {
	if done := m.undo.forget(n); done > 0 {
		m.stats.Commits += int64(done)
		m.stats.Syncs++
	}
}

// Snapshot is a Reader of the present state that later batches do not change.
func (m *Memory) Snapshot() Snapshot {
	return &memorySnapshot{view{treeReader{m.snapshotTree()}}}
}

// Stats describes the store. Bytes are keys and values, without the tree's own.
func (m *Memory) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stats
}

// Close ends the use of the store; it may be called again. What was applied is
// durable then.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed && m.failed == nil {
		m.settle(m.applied)
	}
	m.closed = true
	return nil
}

// Reopen returns a store with what is in this one, which must be closed: the restart
// of a node that was stopped in good order.
func (m *Memory) Reopen() (*Memory, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		return nil, errors.New("store: reopen: the store in memory is still open")
	}
	return newMemory(m.opts, m.data.Clone(), m.stats.Bytes), nil
}

// Crash is a power cut: it ends the use of m and returns the store that the restarted
// node finds. Of the batches that are not durable a prefix survives: of random length
// drawn from rng, or none with rng nil. Without Crashable nothing is lost.
func (m *Memory) Crash(rng *rand.Rand) *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	keep := 0
	if rng != nil {
		keep = rng.IntN(len(m.undo.batches) + 1)
	}
	lost := m.undo.batches[keep:]
	for i := len(lost) - 1; i >= 0; i-- {
		for j := len(lost[i].steps) - 1; j >= 0; j-- {
			m.replace(lost[i].steps[j].key, lost[i].steps[j].old)
		}
	}
	m.closed, m.crashed = true, true
	m.undo = journal{}
	return newMemory(m.opts, m.data, m.stats.Bytes)
}

// SetFull begins or ends a time in which the disk has no room: batches that store
// values are refused with ErrFull.
func (m *Memory) SetFull(full bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.full = full
}

// Fail is a failed fsync: whatever is not durable stays so, and every later Wait and
// Apply returns ErrFailed. Reading goes on.
func (m *Memory) Fail(cause error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failed == nil {
		m.failed = fmt.Errorf("store: %w: %w", ErrFailed, cause)
	}
}

// Damage flips a bit of a record, as a failing disk does, and says whether there is
// such a record. Reading it then returns ErrCorrupt.
func (m *Memory) Damage(slot uint32, seq uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := recordKey(slot, seq)
	value, err := treeReader{m.data}.get(key)
	if err != nil {
		return false
	}
	value[len(value)-1] ^= 1
	m.replace(string(key), value)
	return true
}

type memoryCommit struct {
	m *Memory
	n uint64
}

// Wait makes this batch and all before it durable.
func (c memoryCommit) Wait() error {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	switch {
	case c.m.crashed:
		return ErrClosed
	case c.m.undo.durable(c.n):
		return nil
	case c.m.failed != nil:
		return c.m.failed
	}
	c.m.settle(c.n)
	return nil
}
