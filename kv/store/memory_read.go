package store

import (
	"bytes"
	"iter"
	"strings"

	"github.com/RaduBerinde/btreemap"
)

// tree holds the layout's keys and values in memory. Values in it are never changed,
// only replaced.
type tree = btreemap.BTreeMap[string, []byte]

func newTree() *tree {
	const degree = 8 // nodes of at most 15 entries: small stores stay small
	return btreemap.New[string, []byte](degree, strings.Compare)
}

// treeReader reads a tree that nobody changes meanwhile.
type treeReader struct{ t *tree }

func (r treeReader) get(key []byte) ([]byte, error) {
	_, value, ok := r.t.Get(string(key))
	if !ok {
		return nil, ErrNotFound
	}
	return bytes.Clone(value), nil
}

func (r treeReader) last(s span) (pair, error) {
	for key, value := range r.t.Descend(btreemap.LT(string(s.hi)), btreemap.GE(string(s.lo))) {
		return clonePair(key, value), nil
	}
	return pair{}, ErrNotFound
}

func (r treeReader) scan(s span) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		for key, value := range r.t.Ascend(btreemap.GE(string(s.lo)), btreemap.LT(string(s.hi))) {
			if !yield(clonePair(key, value), nil) {
				return
			}
		}
	}
}

func clonePair(key string, value []byte) pair { return pair{[]byte(key), bytes.Clone(value)} }

// memoryReader reads the present state of a store.
type memoryReader struct{ m *Memory }

func (r memoryReader) get(key []byte) ([]byte, error) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	if r.m.closed {
		return nil, ErrClosed
	}
	return treeReader{r.m.data}.get(key)
}

func (r memoryReader) last(s span) (pair, error) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	if r.m.closed {
		return pair{}, ErrClosed
	}
	return treeReader{r.m.data}.last(s)
}

// scan visits the state at its beginning, whatever is applied meanwhile.
func (r memoryReader) scan(s span) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		chunk, rest, err := r.begin(s)
		if err != nil {
			yield(pair{}, err)
			return
		}
		for _, p := range chunk {
			if !yield(p, nil) {
				return
			}
		}
		if rest == nil {
			return
		}
		next := span{append(chunk[len(chunk)-1].key, 0), s.hi}
		treeReader{rest}.scan(next)(yield)
	}
}

// begin returns the beginning of s and, if there is more, a copy of the tree to read
// the rest from. Copying is cheap, but makes later batches copy the nodes that they
// change; short scans need none.
func (r memoryReader) begin(s span) ([]pair, *tree, error) {
	const enough = 64
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	if r.m.closed {
		return nil, nil, ErrClosed
	}
	var chunk []pair
	for p, err := range (treeReader{r.m.data}).scan(s) {
		if err != nil {
			return nil, nil, err
		}
		if len(chunk) == enough {
			return chunk, r.m.data.Clone(), nil
		}
		chunk = append(chunk, p)
	}
	return chunk, nil, nil
}

// memorySnapshot is a copy of a store's tree.
type memorySnapshot struct{ view }

func (m *Memory) snapshotTree() *tree {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.data.Clone()
}

// Close releases the snapshot.
func (s *memorySnapshot) Close() error {
	s.view = view{closedReader{}}
	return nil
}

// closedReader answers for a snapshot or store that is closed.
type closedReader struct{}

func (closedReader) get([]byte) ([]byte, error) { return nil, ErrClosed }

func (closedReader) last(span) (pair, error) { return pair{}, ErrClosed }

func (closedReader) scan(span) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) { yield(pair{}, ErrClosed) }
}
