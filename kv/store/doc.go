// Package store is the local storage of one node: many slots, each with a log of
// records by version, an index from key to committed version, and a small state of
// the replication protocol; and values of the node as a whole.
//
// # Using it
//
// Changes are gathered in a [Batch] and applied together:
//
//	var b store.Batch
//	b.Append(slot, record)                 // a new version
//	b.Index(slot, record.Key, record.Seq)  // it is committed: what Lookup finds
//	commit, err := s.Apply(&b)             // visible now; with an error nothing was applied
//	...
//	err = commit.Wait()                    // durable now, and all before it
//
// [Store] says what holds between Apply and Wait, [Reader] what can be read. Batches
// become durable in the order in which they were applied, so a power cut leaves a
// prefix of them. Commits that are waited for at the same time share fsyncs.
//
// # Engines
//
// One layout (layout.go) stands over two engines. [Open] opens Pebble in a directory.
// [NewMemory] makes a store in memory, which can also model a disk for simulations:
// Crash takes away what nobody waited for, or a part of it; Fail, SetFull and Damage
// do what disks do. Package storetest is the suite that both pass.
//
// A batch is planned (plan.go) before an engine makes its changes: to move the index
// it must know the version before, which is pruned. Plans are made one at a time, in
// the order of the log, so whatever a plan takes every writer waits for. On disk the
// versions of the keys written last are therefore remembered (index_cache.go), as is
// that a slot has no others; the rest is read from blocks that should be cached. Mind that Pebble takes its tables
// in memory out of the cache of blocks: see [Cache].
//
// # When the disk fails
//
// Three kinds of error leave a store usable: ErrInvalid (a bug of the caller),
// ErrFull and its kind ErrBusy (the batch was refused before it was applied). Any
// other error of Apply or Wait is final: the node must stop, since nobody knows what
// the disk holds; after a failed fsync even a second one that succeeds proves nothing.
// Reading goes on in all cases.
//
//   - A write or fsync of the log, the MANIFEST or the directory fails: the disk
//     freezes (disk.go). The directory stays as a power cut would have left it, every
//     Wait and Apply from then on returns ErrFailed, and the process lives on, which
//     Pebble by itself would end.
//   - A table finds no room: Pebble keeps the log and tries again, four times a second.
//   - Little room is left, or the disk is slower than the writers: batches are refused
//     (gate.go), those with values first, so that deletes and the protocol still find
//     room. That comes before Pebble would stall the writer.
//   - A record does not match its checksum, or a block of a table its own: ErrCorrupt
//     from whatever reads it. The checksum covers slot and version, so a record that
//     strayed is noticed as well.
//   - The directory is locked, holds something else, another format, or has lost its
//     database: ErrForeign (format.go), and nothing in it is touched.
//
// Apply may wait for the disk in one case: when a table in memory is full (4 MiB),
// Pebble syncs and changes its log file. To move the index of a key that was not
// written lately it may also read a block that is not cached.
package store
