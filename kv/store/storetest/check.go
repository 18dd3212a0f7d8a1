package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"dyschord/kv/store"
)

func apply(tb testing.TB, s store.Store, fill func(b *store.Batch)) {
	tb.Helper()
	var b store.Batch
	fill(&b)
	commit, err := s.Apply(&b)
	if err == nil {
		err = commit.Wait()
	}
	if err != nil {
		tb.Fatalf("batch of %d changes: %v", b.Len(), err)
	}
}

func rec(seq uint64, key, value string) store.Record {
	return store.Record{Epoch: 1, Seq: seq, Key: []byte(key), Value: []byte(value)}
}

// seqs reads a slot's log and returns the sequence numbers in it.
func seqs(tb testing.TB, r store.Reader, slot uint32, from, to uint64) []uint64 {
	tb.Helper()
	out := []uint64{}
	for rec, err := range r.Log(slot, from, to) {
		if err != nil {
			tb.Fatalf("log of slot %d: %v", slot, err)
		}
		out = append(out, rec.Seq)
	}
	return out
}

func keys(tb testing.TB, r store.Reader, slot uint32, from string) []string {
	tb.Helper()
	out := []string{}
	for entry, err := range r.Keys(slot, []byte(from)) {
		if err != nil {
			tb.Fatalf("keys of slot %d: %v", slot, err)
		}
		out = append(out, fmt.Sprintf("%s=%d", entry.Key, entry.Seq))
	}
	return out
}

func same(tb testing.TB, what string, got, want any) {
	tb.Helper()
	if !reflect.DeepEqual(got, want) {
		tb.Fatalf("%s is %v, should be %v", what, got, want)
	}
}

func wantError(tb testing.TB, what string, got, want error) {
	tb.Helper()
	if !errors.Is(got, want) {
		tb.Fatalf("%s: error is %v, should be %v", what, got, want)
	}
}
