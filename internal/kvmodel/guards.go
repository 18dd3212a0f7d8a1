package main

// guard names a guard of the protocol that a wrong variant does without.
type guard uint8

const (
	allGuards guard = iota // nothing is wrong
	ackBeforeSync
	ownAckBeforeSync
	minorityCommits
	appendWhileFrozen
	appendOverGap
	frozenAcknowledges
	olderEpochAcknowledges
	tailAnswered
	prunedBeforeCommit
	retryAsNew
	oldRetryNumbered
	requestsKept
	restartServes
	leadBeforeInstall
	reinstalled
	tailKept
	installedWithoutCopy
	olderLogInstalled
	neverInstalledPromises
	promiseForgotten
	acceptedForgotten
	proposerBeforeSync
	lowerBallotAccepted
	minorityDecides
	announcedTooEarly
	ownCutAdopted
	shortestCut
	ownPrefixCut
	acceptBeforeStaging
	outsidersHold
	stagedBeforeSync
	halfCopy
	copyOverTail
	acceptedIsDecided
	copiedTailIndexed
	readUnconfirmed
	confirmedBefore
	frozenConfirms
	pendingRead
	corruptCopied
	corruptIsMissing
	droppedTooEarly
	droppedWhileCounted
	droppedByFrozen
)

// wrongGuard is a wrong variant, and small bounds within which that shows.
type wrongGuard struct {
	guard guard
	name  string // where a bug of the kind is planted in package kv, its name
	what  string
	scope scope
}

// far says whether it takes more than a second to find.
func (g *wrongGuard) far() bool {
	return g.scope.epochs > 2 || g.scope.proposals+g.scope.writes+g.scope.crashes > 3
}

// Bounds that several wrong variants need.
var (
	threeMembers = scope{nodes: 3, genesis: 3, sizes: []int{3}, epochs: 2, proposals: 1, writes: 1, keys: "a"}
	toOneMember  = scope{nodes: 3, genesis: 3, sizes: []int{1}, epochs: 2, proposals: 1, writes: 1, keys: "a"}
	growth       = scope{nodes: 2, genesis: 1, sizes: []int{2}, epochs: 2, proposals: 1, writes: 1, keys: "a"}
)

// with returns a copy of s after edit.
func (s scope) with(edit func(*scope)) scope {
	edit(&s)
	return s
}

// wrongGuards are the variants that the checker must refuse.
func wrongGuards() []wrongGuard {
	return append(append(wrongWrites(), wrongConfigurations()...), wrongCopiesAndReads()...)
}

func wrongWrites() []wrongGuard {
	crash := func(s *scope) { s.crashes = 1 }
	two := func(s *scope) { s.writes, s.keys = 2, "ab" }
	again := func(s *scope) { s.writes, s.keys, s.retries = 2, "aa", 1 }
	restart := func(s *scope) { s.crashes, s.writes, s.keys = 1, 2, "ab" }
	return []wrongGuard{
		{ackBeforeSync, "acknowledge-before-fsync", "a member acknowledges what is not on its disk", threeMembers.with(crash)},
		{ownAckBeforeSync, "primary-counts-itself-before-fsync", "a primary counts its own log before the fsync", threeMembers.with(crash)},
		{minorityCommits, "serves-without-majority", "one acknowledgement too few commits", threeMembers},
		{appendWhileFrozen, "append-while-frozen", "a frozen member appends and acknowledges", threeMembers},
		{appendOverGap, "run-taken-over-a-gap", "a run is taken that begins after the log's end", threeMembers.with(two)},
		{frozenAcknowledges, "frozen-heartbeat-acknowledges", "the log of a frozen member acknowledges", threeMembers},
		{olderEpochAcknowledges, "older-epoch-acknowledges", "the log of a member that has yet to install the epoch acknowledges", threeMembers.with(two)},
		{tailAnswered, "writes-above-the-cut-answered", "writes above the cut are answered as applied", threeMembers},
		{prunedBeforeCommit, "pruned-before-commit", "a record is pruned when a later one is numbered, not committed", threeMembers.with(func(s *scope) { s.writes, s.keys = 2, "aa" })},
		{retryAsNew, "retry-as-a-new-operation", "a write that arrives again is numbered again", threeMembers.with(again)},
		{oldRetryNumbered, "old-retry-carried-out", "a write too old to tell whether it was carried out is carried out", toOneMember.with(again)},
		{requestsKept, "request-ids-kept-past-the-cut", "a write that was cut off is still known, and answered as applied", toOneMember.with(again)},
		{restartServes, "restarted-primary-serves-its-old-epoch", "a restarted primary goes on in its epoch", threeMembers.with(restart)},
		{leadBeforeInstall, "serves-before-install", "a primary serves before its epoch is on its disk", threeMembers.with(restart)},
	}
}

func wrongConfigurations() []wrongGuard {
	crash := func(s *scope) { s.crashes = 1 }
	two := func(s *scope) { s.proposals = 2 }
	none := func(s *scope) { s.proposals, s.writes = 2, 0 }
	forgets := func(s *scope) { s.crashes, s.proposals, s.writes = 1, 2, 0 }
	return []wrongGuard{
		{reinstalled, "installed-twice", "a configuration that arrives again is installed again", threeMembers},
		{tailKept, "tail-kept-past-the-cut", "a log keeps what is above the cut", threeMembers},
		{installedWithoutCopy, "installed-without-a-copy", "an epoch is installed without a copy up to its cut", growth.with(func(s *scope) { s.nodes, s.sizes = 3, []int{3} })},
		{olderLogInstalled, "older-log-taken-for-a-copy", "an older log that is long enough is taken for a copy", toOneMember.with(func(s *scope) { s.writes, s.keys, s.epochs, s.proposals = 2, "ab", 3, 2 })},
		{neverInstalledPromises, "never-installed-member-counts-as-frozen", "a member promises for an epoch that it has yet to install", threeMembers.with(func(s *scope) { s.late = 1 })},
		{promiseForgotten, "promise-forgotten-on-restart", "a promise is forgotten in a crash", threeMembers.with(crash)},
		{acceptedForgotten, "accepted-value-forgotten-on-restart", "an accepted value is forgotten in a crash", threeMembers.with(forgets)},
		{proposerBeforeSync, "proposal-before-fsync", "a proposer sends what it promised and accepted itself before that is on its disk", threeMembers.with(forgets)},
		{lowerBallotAccepted, "lower-ballot-accepted", "a value is accepted below the ballot that was promised", threeMembers.with(none)},
		{minorityDecides, "decided-without-majority", "one acceptance too few decides", threeMembers.with(none)},
		{announcedTooEarly, "announced-before-decided", "a value is announced before a majority has accepted it", threeMembers.with(none)},
		{ownCutAdopted, "adopts-members-but-not-the-cut", "a value is taken over with another cut", threeMembers.with(two)},
		{shortestCut, "cut-at-the-shortest-prefix", "an epoch is cut at the shortest prefix promised", threeMembers},
		{ownPrefixCut, "cut-at-the-own-prefix", "an epoch is cut at the proposer's own prefix", threeMembers},
		{acceptBeforeStaging, "accept-before-staging", "a value is accepted before the next members have a copy", growth},
		{outsidersHold, "copies-of-outsiders-counted", "copies of nodes that will be no members make up the majority", toOneMember},
		{stagedBeforeSync, "copy-reported-before-fsync", "a copy is reported before it is on the disk", growth.with(func(s *scope) { s.crashes, s.lazy = 1, true })},
		{droppedTooEarly, "data-dropped-too-early", "a copy is dropped without asking", growth.with(func(s *scope) { s.sweeps = true })},
		{droppedWhileCounted, "reported-copy-dropped", "a copy is dropped though it was reported meanwhile", growth.with(func(s *scope) { s.sweeps = true })},
		{droppedByFrozen, "copy-dropped-by-word-of-the-frozen", "a copy is dropped because a frozen member has installed the epoch", growth.with(func(s *scope) { s.sweeps = true })},
	}
}

func wrongCopiesAndReads() []wrongGuard {
	two := func(s *scope) { s.writes, s.keys = 2, "ab" }
	reads := func(s *scope) { s.reads = 1 }
	rots := func(s *scope) { s.reads, s.rots = 1, 1 }
	return []wrongGuard{
		{halfCopy, "half-a-copy-counts", "a part of a copy counts as the copy", growth.with(func(s *scope) { s.writes, s.keys, s.paged = 2, "ab", true })},
		{copyOverTail, "copy-over-an-old-tail", "a copy is put on top of what an older epoch has left", toOneMember.with(two)},
		{acceptedIsDecided, "accepted-value-taken-for-decided", "a log is kept up to the cut of a value that was only accepted", toOneMember.with(func(s *scope) { s.writes, s.keys, s.proposals = 2, "ab", 2 })},
		{copiedTailIndexed, "copied-tail-indexed", "the index of a copy takes in what is not committed", growth},
		{readUnconfirmed, "read-without-confirmation", "a read is answered without a round", toOneMember.with(reads)},
		{confirmedBefore, "confirmation-before-the-read", "a confirmation counts for a read that came after it", toOneMember.with(reads)},
		{frozenConfirms, "frozen-member-confirms", "a member that is frozen or in a later epoch confirms", toOneMember.with(reads)},
		{pendingRead, "answer-from-a-pending-write", "a read returns what is not committed", threeMembers.with(reads)},
		{corruptCopied, "corrupt-record-left-out-of-a-copy", "a copy leaves out a record that cannot be read", growth.with(rots)},
		{corruptIsMissing, "corrupt-record-exists", "a record that cannot be read counts as missing", threeMembers.with(rots)},
	}
}
