// Package kv is a linearizable, replicated key-value store on top of any overlay.
//
// # What is promised
//
// Every operation on a single key is linearizable, "no such key" included, and a
// write that was acknowledged is on the disks of a majority of the key's replicas.
// A minority that is cut off refuses; it never guesses. Two replicas bear the loss
// of none, three of one, five of two. The overlay decides which nodes should hold a
// key and how they are found, and nothing more: no safety rests on a lookup, on a
// clock or on a time-out.
//
// A write ends as applied (nil), not applied (any error but ErrUnknown), or unknown
// (ErrUnknown): it may have been applied, or may still be. Ignorance is
// ErrUnavailable, never ErrNotFound.
//
// # Slots, configurations, epochs
//
// The identifier space is cut into equal slots; a key's slot is the top bits of its
// hash. Each slot has a chain of configurations, one epoch after the other: its
// members, the primary among them, and the cut, the last version of the epoch before
// that counts. Within an epoch the primary alone numbers the writes, so that the log
// of every member is a prefix of one sequence, and versions go on from epoch to
// epoch. The first link of each chain is made by [Node.Found] and by nothing else.
//
// What a node keeps on its disk for a slot is type state, beside the log of records
// by version and the index from key to committed version (package kv/store).
//
//	step                                          where
//	----                                          -----
//	what a member may do: ACTIVE, INSTALLED, holds  slot.go: active, installed, holds
//	a write is numbered, logged and sent            write.go: write; send.go: pack
//	a member logs it, and acknowledges after fsync  write.go: onAppend, take
//	a majority commits it; the index moves          write.go: acknowledge, count, advance
//	a read waits for a round that begins after it   read.go: get, round, onConfirm
//	an epoch is to end: prepare, promise            propose.go: propose, prepareAll, onPrepare
//	a value accepted before is taken over whole     propose.go: adopted
//	else cut, members; copies before anybody accepts  propose.go: choose; stage.go: stageAll
//	the value is accepted by a majority: decided    propose.go: acceptAll, onAccept
//	the decision spreads; duties of the epoch end   learn.go: spread, onTell, learn
//	a member brings its log to the cut and begins   learn.go: install, begin
//	who was primary in an earlier life ends that epoch  placement.go: causeFor, causeRestart
//	a reconfiguration that nobody ended             upkeep.go: thaw
//	data that others hold now is dropped            upkeep.go: sweep, inForce
//
// Rules that are easy to break, each with a test and most with a planted bug
// (internal/planted/testdata/kv):
//
//   - An acknowledgement follows the fsync, and only of an active member: what a frozen
//     member has may be a copy that lies beyond a cut.
//   - Promises, accepted values and the end of an epoch are on the disk before they
//     are told. A member that has not installed an epoch promises nothing for it.
//   - A cut and its members are one value. Accepting begins when a majority of the
//     next members has a copy up to the cut, and not before.
//   - A confirmation counts for reads that arrived before it was asked for, from
//     members active in exactly that epoch.
//   - A primary that restarts never serves its old epoch: it may have sent numbers
//     that its disk has lost. It ends the epoch, with the same members if it likes.
//   - A part of a copy is no prefix of anything, since superseded records are left
//     out. Until its last page the log is marked Dirty, and Base is what counts.
//   - Superseded records are pruned only once the later one is committed.
//
// # Writes that are tried again
//
// A gateway tries a write again under one identifier until it has an answer or its
// time is over. Identifiers are part of the log; a member remembers those of the
// latest versions without a gap (window.go). A write carries a version that was
// committed before its first attempt: if the window does not reach down to that, it
// cannot be told whether the write was carried out, and it ends as ErrUnknown rather
// than twice. A write of which no attempt can have been carried out begins anew.
//
// # Finding a slot
//
// A node goes by its own state, then by what it has heard (every reply that moves a
// request on names the latest configuration), then asks the owners that the overlay
// names, then some peers. Primaries tell owners that are no members where the slot is
// (newsletter), and whoever was a member remembers where it went. gateway.go.
//
// # Upkeep
//
// Nodes that share slots exchange one small heartbeat each interval; it carries the
// state of up to 64 shared slots in turn. Three intervals of silence, or two refused
// connections, and a peer counts as dead. One periodic scan looks at all slots (at
// most 2,048 at a time): a dead or leaving member is replaced by a live node that the
// overlay names, never just dropped unless it leaves; a lone founder grows to the
// full number at once, because with two members the loss of either blocks the slot;
// moves wait until the overlay has named the same nodes for a while, and copy before
// they freeze. The first live member proposes, others only after a pause. Time
// is counted in scans, so that a clock may jump.
//
// Nothing is held across a call to another node, every queue is bounded, and one
// activity waits for the disk on behalf of all slots (disk.go).
//
// # What is lost when
//
//	failure                                      effect
//	-------                                      ------
//	a minority of a slot's members crashes       no data; a pause of about four heartbeats
//	                                             if the primary was among them
//	a majority crashes and comes back            no data; unavailable meanwhile
//	all nodes lose power                         no acknowledged write
//	a majority's disks are lost for good         the slot stays unavailable
//	a disk is full                               values are refused (ErrFull) before they are
//	                                             numbered; reads and deletes go on
//	an fsync fails                               the node stops ([Config].Fatal)
//	a record rots                                that node gives up its copy when it
//	                                             reads it, and takes a new one
//	a partition                                  the side without a majority refuses
//
// A node whose disk was wiped must come back under a new identity.
//
// # What was model-checked
//
// Package internal/kvmodel explores every state that this protocol can get into within
// small bounds: up to four nodes, three writes to two keys, four epochs, competing
// proposers, messages lost, late, repeated and out of order, crashes that take what was
// not waited for, records that rot. No invariant is broken, and each of some forty
// guards, left out, breaks one. Its doc.go says what the invariants are, which function
// here is which step there, how many states there were, and what is not modelled: the
// bounds of the window of requests, full disks, and liveness, which are left to the
// simulator and the tests of this package.
//
//	go test ./internal/kvmodel                      half a minute of one core
//	go run ./internal/kvmodel -nodes 4 -crashes 0   other bounds; -help lists them
//
// Four points go beyond the plain protocol, in which every message carries one record
// and every member installs every epoch. Each is a switch of the model:
//
//   - A message carries a run of records, and a run leaves out what was superseded by
//     committed records; a member that has a part of a run takes the rest. A log may
//     end within such a gap: the write that fills it is committed, so that no cut
//     can fall between.
//   - A member may install a later configuration than the next one: the chain between
//     was decided without it.
//   - A copied slot is indexed after the copy is complete, up to what its source knew
//     to be committed.
//   - A node with a corrupt record leaves the slot on purpose, even when nobody can
//     replace it: it did not count as a copy any more.
//
// The heartbeat of a frozen member acknowledges nothing, though its log may have grown:
// what it was given may lie beyond a cut. The model shows in ten steps what happens
// otherwise.
package kv
