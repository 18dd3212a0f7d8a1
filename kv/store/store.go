package store

import (
	"errors"
	"fmt"
	"iter"
	"time"
)

// Errors of a store. An error of Apply or Wait that is neither ErrFull nor
// ErrInvalid is final: whether earlier batches are durable is not known, so the
// node must stop; never retry and acknowledge.
var (
	// ErrNotFound: there is no such record, key or state.
	ErrNotFound = errors.New("not found in the store")
	// ErrCorrupt: a record's checksum does not match. The replica must not answer
	// from it and fetches it anew.
	ErrCorrupt = errors.New("corrupt record in the store")
	// ErrFull: no room on the disk, or (ErrBusy) the store is behind. Nothing was
	// applied; reading goes on. Batches that need little room, deletes and protocol
	// state, are still accepted for a while after values are refused.
	ErrFull = errors.New("no room in the store")
	// ErrBusy is the kind of ErrFull that passes by itself: the disk is slower than
	// the writers. Nothing was applied. Back off, then retry.
	ErrBusy = fmt.Errorf("%w: the disk is behind", ErrFull)
	// ErrInvalid: the batch breaks a rule of this package. Nothing was applied. A bug
	// of the caller.
	ErrInvalid = errors.New("invalid batch")
	// ErrFailed: a write or fsync failed, so what is on the disk is not known. The
	// store refuses every later batch; reading goes on.
	ErrFailed = errors.New("the store's disk failed")
	// ErrForeign: the directory holds something else, another format version, or is
	// in use by another process.
	ErrForeign = errors.New("not a usable data directory")
	// ErrClosed: the store was closed, or its simulated node crashed.
	ErrClosed = errors.New("the store is closed")
)

// Record is one version of one key: an entry of a slot's log.
type Record struct {
	Epoch    uint64 // the configuration in which it was numbered
	Seq      uint64 // its place in the slot's one sequence; the version clients see. From 1
	Key      []byte
	Value    []byte
	Type     string // content type, as the client gave it
	Deleted  bool   // a tombstone
	Modified time.Time
	Request  []byte // identifies the client's request, so that a retry finds it; may be empty
}

// Store is the local storage of one node, for many slots. A slot has a log of
// records by version, an index from key to the committed version, and a state that
// the replication protocol writes. Superseded committed records are pruned from
// the log as the index moves.
//
// All methods may be called from several goroutines.
type Store interface {
	Reader
	// Snapshot is a Reader of the present state that later batches do not change.
	Snapshot() Snapshot
	// Apply makes b visible before it returns, atomically and in the order of calls,
	// but not yet durable. It does not wait for an fsync, but for the short moments in
	// which the engine changes its log file. With an error nothing was applied. b must
	// not be used again.
	Apply(b *Batch) (Commit, error)
	// Stats describes the store.
	Stats() Stats
	// Close waits for running commits and releases the directory.
	Close() error
}

// Commit is a batch on its way to the disk.
type Commit interface {
	// Wait blocks until this batch and all before it are durable. An error is final:
	// the node must stop.
	Wait() error
}

// Reader reads a store. Slices returned are the caller's.
type Reader interface {
	// Meta returns a value of the node as a whole, or ErrNotFound.
	Meta(name string) ([]byte, error)
	// State returns the protocol state of a slot, or ErrNotFound.
	State(slot uint32) ([]byte, error)
	// States visits all slots that have a state, in order; it ends after an error.
	States() iter.Seq2[SlotState, error]
	// Record returns the record at seq, or ErrNotFound, or ErrCorrupt.
	Record(slot uint32, seq uint64) (Record, error)
	// Last returns the highest seq in the slot's log, 0 if the log is empty, with
	// its epoch. Of a corrupt record it returns the seq all the same, with ErrCorrupt.
	Last(slot uint32) (epoch, seq uint64, err error)
	// Log visits the records with from <= seq <= to in order; it ends after an error.
	Log(slot uint32, from, to uint64) iter.Seq2[Record, error]
	// Lookup returns the record that the index names for key: the latest committed
	// one, a tombstone too; or ErrNotFound, or ErrCorrupt.
	Lookup(slot uint32, key []byte) (Record, error)
	// Keys visits the index of a slot in the order of its keys, from key on; it ends
	// after an error.
	Keys(slot uint32, from []byte) iter.Seq2[IndexEntry, error]
}

// SlotState is a slot and the state that the replication protocol keeps for it.
type SlotState struct {
	Slot  uint32
	State []byte
}

// IndexEntry is a key and the version that is committed for it.
type IndexEntry struct {
	Key []byte
	Seq uint64
}

// Snapshot is a Reader that must be closed.
type Snapshot interface {
	Reader
	Close() error
}

// Stats are figures of a store, for metrics.
type Stats struct {
	Bytes    int64 // on disk, or in memory
	Commits  int64 // batches made durable
	Syncs    int64 // fsyncs they took
	SyncTime time.Duration
}
