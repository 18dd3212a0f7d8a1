// Command kvmodel explores every state that the replication protocol of package kv
// can get into within small bounds, whatever is lost, late, repeated or out of order,
// and checks invariants in each. It is a model: a second, much smaller writing of the
// protocol as package kv carries it out. What it proves, it proves of the design; that
// the code is that design, the tests of kv show, and the table below lets one compare.
//
//	go test ./internal/kvmodel                      the scopes of scope.go, and every wrong guard
//	go run ./internal/kvmodel -nodes 4 -crashes 0   other bounds (-help)
//	go run ./internal/kvmodel -walks 100000 -nodes 4 -proposals 4 -crashes 3
//	go run ./internal/kvmodel -sizes 1 -reads 1 -proposals 1 -without read-without-confirmation
//
// The last prints a counterexample: as few steps as there can be, in words, and what
// each node has at the end. -without names a guard that is left out (guards.go); the
// tests demand that each of more than forty breaks an invariant. -off switches
// departures off.
//
// # What a state is
//
// One slot (world.go). Of each node: what it has applied, what of that is on its disk,
// and what any crash takes (that it leads, what it counted, a copy in progress). Of the
// network: nothing but facts. A message is a fact from the moment it is sent, and can
// arrive at any later time, any number of times, in any order, or never; a step that
// receives it is possible for as long as the fact stands. Most facts follow from what
// is there anyway: a run of records is any part of what the primary of an epoch has
// numbered, thinned out by any commit that it has reached; that a ballot was prepared
// or a value proposed stands in the list of proposals; a decision, once counted, can
// reach anybody. An acknowledgement, a confirmation or a report of a copy is noted at
// its receiver when it is sent: to receive it later is to act on it later, not to
// receive it is not to act. Of a promise both ways are tried, since the proposer goes
// on with those that it has.
//
// Of the observer: what was committed under each version, what clients were told, and
// the chain of decisions, each noted when the last disk that it takes has it, whether
// or not anybody knows.
//
// A disk is a step of its own where the protocol relies on it: a node applies a write
// or a run, and what it applied is on the disk when it says so. Promises, values,
// installations and reports of copies are told after the fsync, so they are one step
// with it: a crash in between is a crash before. With lazy, what a node heard, copied
// or indexed can be lost in a crash as well, and any prefix of it may remain. A crash is
// a power cut and a restart at once; a node that is down is one that takes no steps.
//
// # Steps and the functions of package kv
//
//	step                                     where
//	----                                     -----
//	write                                    write.go: write
//	retry, find                              write.go: write, await; window.go: find, shorten
//	gap                                      learn.go: readRequests; window.go: add, before
//	appendRuns                               write.go: onAppend, take; send.go: runOf
//	index, advance                           write.go: take, advance
//	tell: acknowledgements and heartbeats    write.go: onAppend; learn.go: describe, arrived
//	commit                                   write.go: acknowledge, count
//	propose, prepare                         propose.go: propose, prepareAll, onPrepare
//	adopt                                    propose.go: adopted
//	choose, sendAccept                       propose.go: choose, pickPrimary; placement.go: target
//	stage                                    stage.go: onStage, stageHere
//	accept, announce                         propose.go: acceptAll, onAccept; learn.go: spread
//	learn, hear                              learn.go: learn; write.go: loseLead
//	copyOf, keeps                            stage.go: copy, rebase; fetch.go: session
//	receive, finish, endCopy                 stage.go: copyFrom, keepPage, abandon
//	install                                  learn.go: install, begin; write.go: takeLead
//	sweep                                    upkeep.go: sweep, inForce, release
//	reading, answer                          read.go: get, round, onConfirm, answer
//	sync                                     disk.go: sync
//	restart                                  node.go: load
//	rot, notice                              upkeep.go: damaged
//
// Where the code waits for a good moment or prefers one node to another, the model lets
// any node do it at any time: propose, copy from any node that has what is wanted,
// choose any members of the sizes allowed and any of them as primary.
//
// # The departures
//
// Four points in which package kv does more than the plain protocol, each a switch
// (rules.go), each explored alone and with the others:
//
//   - sparse: the index moves and prunes; runs and copies are what pruning has left;
//     a run may begin before the end of the member's log. A gap is right only where a
//     later write of the key is committed.
//   - skip: whoever has heard of a configuration may hear of any later one and install
//     that, without those between.
//   - lazyIndex: a copy is complete in one step, and its index moves then or never,
//     until something else moves it.
//   - leaveCorrupt: a record rots on the disk; the node may notice at any time, and does
//     when it is to give a copy. It then leads no more, gives no copies, and proposes
//     exactly the other members.
//
// A frozen member's log acknowledges nothing: tell asks for an active one, and the
// guard frozen-heartbeat-acknowledges is what happens otherwise.
//
// # Invariants
//
// In every state (invariants.go, world.go):
//
//   - one value at most is decided for an epoch, and what a node takes for decided is;
//   - one write at most is ever committed under a version, by whatever epoch; no
//     configuration cuts off what is committed, and none commits beyond its cut;
//   - a log that is not dirty is a prefix of the sequence of its epoch, up to gaps that
//     a committed write of the same key allows;
//   - an index shows nothing that is not committed;
//   - on the disks of a majority of the members of the last configuration is all that
//     lies below its cut and all that clients were ever shown. So who was counted as
//     holding a copy holds it. A disk with a rotten record counts: that is one loss;
//   - a serving primary has in its index all that lies below its cut, and if its
//     configuration is the last one, all that clients were ever shown;
//   - a read returns, for every key, at least what was acknowledged or read before it
//     began, and nothing that is not committed;
//   - no write is committed under two versions, however often its request arrives, and
//     none is answered as applied that was cut off.
//
// # How it stays small
//
// States are visited breadth first and known by a 128-bit hash of a canonical encoding
// (canon.go). Nodes are alike, so that states which differ in names are one: ballots
// are places in an order instead of numbers and names, and a new one may be put
// anywhere above what its proposer has promised. reduce.go clears what no later step
// can read. Tests compare what follows a state and a renamed one, and look for
// different states with one encoding.
//
// # What is not modelled
//
// Several slots; more than four nodes, three writes, two keys, four epochs and four
// proposals. Bounds of the window of requests; conditions; deletes (a delete is a
// write). Full and failing disks. Liveness: who proposes when, time-outs, back-off; the
// model says what cannot happen, not that something will. Overlays, leaving, placement.
// Bytes, bounds and malformed messages. One read is in progress at a time.
//
// # What was found
//
// No invariant was broken: within the scopes of scope.go (3.1 million states; all tests
// together take 38 s of one core and 240 MB), nor in these runs, whose seconds are those
// of a busy machine:
//
//	go run ./internal/kvmodel                              states      depth   steps tried   seconds
//	-nodes 4 -proposals 2 -writes 1 -crashes 0             3,820,615   27      30,956,606    275
//	-epochs 3 -proposals 2 -writes 2 -keys aa -crashes 1   6,328,525   38      37,723,879    396
//	-proposals 1 -writes 2 -keys aa -crashes 2 -lazy       1,565,833   30      13,996,772    112
//	-walks 100000 -seed 8 -nodes 4 -late 1 -sizes 1,2,3 -epochs 4 -proposals 4 -writes 3
//	  -keys aba -reads 3 -retries 2 -crashes 3 -rots 1 -paged -sweeps -lazy
//	                                                       10,034,473  150     58,599,206    136
//
// The first three went to their end; walks visit some states again and again.
package main
