// Package lookup drives lookups for every overlay. An algorithm is a [Router]: it
// says, from one node's memory, who is next or who the owners are. The [Driver]
// does the rest: asking, going back when a peer does not answer, ending, counting.
//
// # A lookup
//
// It has two parts, the same for all algorithms:
//
//   - Approach. The best candidate by the algorithm's own measure ([Router].Nearer)
//     is asked for candidates that are nearer still. An answer that makes no progress
//     by that measure is dropped, so a lookup cannot run in circles.
//   - Settle. Once somebody names owners, the n best of them are asked whether they
//     agree. Each answers with the owners it knows (it may know of a node that
//     joined in between), these are merged, and the lookup ends when the n best that
//     live have all answered. One that names itself when it is asked for the way has
//     answered. So every owner in a [dht.Route] was alive a moment ago. A step that would
//     be a better owner than these, and was not named as one, is asked before the end.
//
// All who are asked may name the same owners, and some of these be dead. So an answer
// names more than n, by default half as many besides, but 32 at most: a lookup of more
// than 21 owners has less to fall back on, one of 32 nothing. It ends with those that live,
// fewer than n.
//
// Chord and Koorde name owners when the key falls into a successor list. An
// algorithm without such a moment, Kademlia, names its siblings as owners and
// settles on the n closest that live. State of type S travels with every step:
// Koorde's imaginary node and what is left of the key; nothing for the others.
//
// # Two styles
//
//   - Iterative: the origin asks one peer after another, up to Config.Alpha at once.
//   - Recursive: each node hands the lookup to the next. It acknowledges at once and
//     forwards in an activity of its own, so no node waits for another's wait; the
//     owner tells the origin, which waits on a Signal. The lookup carries how long the
//     origin waits, and nobody goes on with it after that. The origin then settles owners
//     2 to n itself. Latencies of single hops are not known in this style.
//
// # The policy
//
// [Config] means the same and has the same defaults for all algorithms; comparisons
// are worthless otherwise. A peer that does not answer is dropped from the lookup,
// which goes on with the next best candidate, wherever that was named. The node that
// waited in vain and the node that named it (told by a suspect message) probe before
// they believe. So a stalled peer costs a lookup one time-out of the Env; a named
// owner, whose wrongful omission would make the answer wrong, is asked
// 1 + Config.Retries times, while the owners after it are asked too. One that is busy or
// out of reach is left alone for a tenth of Config.HopTimeout before. Nobody suspects
// who is busy, and a lookup that fails since all who are left are busy says ErrBusy:
// the caller had better come back.
//
// Given up after Config.HopTimeout is not dead. An answer that comes later counts, as
// long as the lookup goes on for other reasons; and it goes on, with less than n live
// owners, until the Env gives the request up too, or Config.Timeout ends the wait.
package lookup
