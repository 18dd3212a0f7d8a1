package lookup

import (
	"context"
	"errors"
	"math"
	"time"

	"dyschord/dht"
)

// search is one lookup at its origin: a tree of candidates, each named by another.
// It lives on the stack of the activity that looks up, with room for what most
// lookups meet, so that it leaves little to the garbage collector.
type search[S comparable] struct {
	d     *Driver[S]
	key   dht.ID
	n     int   // owners wanted
	width uint8 // candidates per answer
	calls dht.Calls

	// Candidates in the order of naming; 0 is the origin. No slice refers to few, which
	// would make the search move to the heap.
	few    [few]candidate[S]
	more   []candidate[S]
	count  int
	steps  int16 // first candidate of the approach, the nearest one
	owners int16 // first named owner, the best one

	inFlight int  // requests whose answer matters
	answered int  // the latest round an answer belongs to
	busy     bool // somebody was too busy to answer, and
	lost     bool // somebody was given up for another reason
	began    time.Time
	route    dht.Route
}

const (
	few    = 40
	nobody = -1 // ends a list of candidates
)

// init begins s, which is empty.
func (s *search[S]) init(d *Driver[S], key dht.ID, n int) {
	s.d, s.key, s.n = d, key, n
	s.width = uint8(d.cfg.width(n))
	s.calls = d.env.Calls()
	s.steps, s.owners = nobody, nobody
	s.began = d.env.Now()
	s.route.Key = key
}

// begin starts with what the origin knows.
func (s *search[S]) begin() {
	s.origin(s.d.router.Begin(s.key))
	s.askSelf(0)
}

// beginAt starts at seed.
func (s *search[S]) beginAt(seed dht.Peer) {
	var none S
	s.origin(none)
	s.add(&candidate[S]{Step: Step[S]{Peer: seed, Why: dht.Reason{Rule: RuleSeed}}, role: atStart, hops: 1})
}

func (s *search[S]) origin(state S) {
	s.enter(&candidate[S]{Step: Step[S]{Peer: s.d.env.Self(), State: state}, status: live})
}

// run asks until the owners are settled.
func (s *search[S]) run(ctx context.Context) error {
	for !s.settled() {
		s.dispatch()
		if s.settled() {
			break
		}
		if s.inFlight == 0 && !s.hoping() {
			return noRoute(s.busy && !s.lost)
		}
		if err := s.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// noRoute is why nobody is left to ask.
func noRoute(allBusy bool) error {
	if allBusy {
		return dht.ErrBusy
	}
	return dht.ErrNoRoute
}

// hoping says whether somebody who was given up may still answer, or is asked again.
func (s *search[S]) hoping() bool {
	for i := range s.count {
		if c := s.at(i); c.status == resting || c.status == dead && c.late > 0 {
			return true
		}
	}
	return false
}

// wait takes the next result, gives up what is overdue, or ends a rest.
func (s *search[S]) wait(ctx context.Context) error {
	i, due := s.nextDue()
	if i < 0 {
		return s.waitLate(ctx)
	}
	env, left := s.d.env, due-s.elapsed()
	if s.calls.Pending() == 0 {
		if err := env.Sleep(ctx, left); err != nil {
			return err
		}
		s.overdue(i)
		return nil
	}
	hop, cancel := env.WithTimeout(ctx, left)
	defer cancel()
	res, err := s.calls.Next(hop)
	switch {
	case err == nil:
		s.receive(res)
	case hop.Err() == nil || ctx.Err() != nil || errors.Is(err, dht.ErrClosed):
		return err
	default:
		s.overdue(i)
	}
	return nil
}

// nextDue is the candidate whose time is over first, and when in the search that is;
// -1 if neither an answer nor a rest has an end.
func (s *search[S]) nextDue() (first int, due time.Duration) {
	first = -1
	for i := range s.count {
		c := s.at(i)
		end := c.took
		switch c.status {
		case asked:
			end += s.d.cfg.HopTimeout
		case resting:
		default:
			continue
		}
		if first < 0 || end < due {
			first, due = i, end
		}
	}
	return first, due
}

// overdue gives up waiting for candidate i, or has it asked again.
func (s *search[S]) overdue(i int) {
	if c := s.at(i); c.status == resting {
		c.status = fresh
		return
	}
	s.ended(i, s.d.cfg.HopTimeout).late++
	s.fail(i, dht.ErrTimeout)
}

// waitLate takes the next result when there are only late ones to wait for. Those that
// the deadline finds missing are missed: the lookup ends with what it has.
func (s *search[S]) waitLate(ctx context.Context) error {
	res, err := s.calls.Next(ctx)
	switch {
	case err == nil:
		s.receive(res)
	case errors.Is(err, dht.ErrClosed):
		return err
	default:
		for i := range s.count {
			s.at(i).late = 0
		}
	}
	return nil
}

func (s *search[S]) elapsed() time.Duration { return s.d.env.Now().Sub(s.began) }

// ended notes that nothing is awaited from candidate i any more.
func (s *search[S]) ended(i int, after time.Duration) *candidate[S] {
	c := s.at(i)
	if c.status == asked {
		s.inFlight--
	}
	c.took = after
	s.answered = max(s.answered, int(c.round))
	return c
}

// settled says whether the n best owners that live have all answered, and whoever might
// be one of them.
func (s *search[S]) settled() bool {
	last, ok := s.agreed()
	return ok && s.closer(last) == nobody
}

// agreed is the last of the n best owners that live, if all up to it have answered. With
// fewer than n they have not, as long as one that was given up may answer late.
func (s *search[S]) agreed() (last int16, ok bool) {
	alive, late := 0, false
	for i := s.owners; i != nobody; i = s.at(int(i)).next {
		switch s.at(int(i)).status {
		case live:
			last = i
			if alive++; alive == s.n {
				return last, true
			}
		case fresh, asked, resting:
			return last, false
		case dead:
			late = late || s.at(int(i)).late > 0
		}
	}
	return last, alive > 0 && !late
}

// closer is a step that would be a better owner than last, if it is one, and has neither
// been heard nor named as one. On a ring steps come last in the order of owners; where
// the best step is the best owner, the first that does not come before last ends it.
func (s *search[S]) closer(last int16) int16 {
	for i := s.steps; i != nobody; i = s.at(int(i)).next {
		c := s.at(int(i))
		if !s.d.router.Before(s.key, c.Peer, s.at(int(last)).Peer) {
			break
		}
		if (c.status == fresh || c.status == asked) && !s.named(c.Peer) {
			return i
		}
	}
	return nobody
}

// named says whether somebody has named p as an owner.
func (s *search[S]) named(p dht.Peer) bool {
	for i := s.owners; i != nobody; i = s.at(int(i)).next {
		if s.at(int(i)).Peer.Same(p) {
			return true
		}
	}
	return false
}

// dispatch asks as many candidates as may be asked at once.
func (s *search[S]) dispatch() {
	for {
		i, limit := s.pick()
		if i < 0 || s.inFlight >= limit {
			return
		}
		s.ask(i)
	}
}

// pick chooses the candidate to ask next, -1 for none at the moment, and how many
// requests may be in flight.
func (s *search[S]) pick() (next, limit int) {
	window := max(s.n, s.d.cfg.Alpha)
	settling := false
	var c *candidate[S]
	for i := s.owners; i != nobody; i = c.next {
		c = s.at(int(i))
		if c.status == dead {
			continue
		}
		settling = true
		if window == 0 {
			break
		}
		if c.status == fresh && !s.onItsWay(c.Peer) {
			return int(i), dht.MaxOwners
		}
		// One that has failed once may be dead: ask the one after it as well.
		if c.status == live || c.tries < 2 && c.status != resting {
			window--
		}
	}
	if settling {
		return s.pickCloser()
	}
	for i := s.steps; i != nobody; i = c.next {
		if c = s.at(int(i)); c.status == fresh {
			return int(i), s.d.cfg.Alpha
		}
	}
	return -1, 0
}

// pickCloser is pick when no named owner is left to ask.
func (s *search[S]) pickCloser() (next, limit int) {
	if last, ok := s.agreed(); ok {
		if i := s.closer(last); i != nobody && s.at(int(i)).status == fresh {
			return int(i), s.d.cfg.Alpha
		}
	}
	return -1, 0
}

// onItsWay says whether an answer of p is awaited to the question for the way. It may
// say as well that p is an owner, and who the others are.
func (s *search[S]) onItsWay(p dht.Peer) bool {
	for i := s.steps; s.inFlight > 0 && i != nobody; i = s.at(int(i)).next {
		if c := s.at(int(i)); c.status == asked && c.Peer.Same(p) {
			return true
		}
	}
	return false
}

func (s *search[S]) ask(i int) {
	c := s.at(i)
	c.tries++
	if c.Peer.Same(s.d.env.Self()) {
		s.askSelf(i)
		return
	}
	req := &find[S]{Key: s.key, State: c.State, Role: c.role, N: s.width, index: int16(i), try: c.tries}
	c.status, c.took = asked, s.elapsed()
	c.round = uint8(min(s.answered+1, math.MaxUint8))
	s.route.Rounds = max(s.route.Rounds, int(c.round))
	s.send(c.Peer, req)
	s.inFlight++
}

// askSelf answers from this node's own memory.
func (s *search[S]) askSelf(i int) {
	c := s.at(i)
	c.status = live
	s.absorb(i, s.d.answer(&find[S]{Key: s.key, State: c.State, Role: c.role, N: s.width}))
}

func (s *search[S]) send(to dht.Peer, m dht.Message) {
	s.route.Messages++
	s.calls.Start(to, m)
}

func (s *search[S]) receive(res dht.Result) {
	req, ok := res.Req.(*find[S])
	if !ok {
		return // the answer to a suspicion
	}
	i := int(req.index)
	answer, err := s.read(res)
	switch c := s.at(i); {
	case c.status == live:
		return // it has answered already
	case c.status != asked || c.tries != req.try: // given up before
		c.late--
		if err != nil {
			return
		}
	}
	c := s.ended(i, res.RTT)
	if !res.From.IsZero() {
		c.Peer = res.From // in its present incarnation
	}
	if err != nil {
		s.fail(i, err)
		return
	}
	c.status = live
	s.d.router.Answered(c.Peer, res.RTT)
	s.absorb(i, answer)
}

// read is the answer of a result, or what is wrong with it.
func (s *search[S]) read(res dht.Result) (*found[S], error) {
	if res.Err != nil {
		return nil, res.Err
	}
	answer, err := dht.As[*found[S]](res.Msg)
	if err != nil {
		return nil, err
	}
	return answer, answer.validate(s.width)
}

// fail gives a candidate up, or leaves it for another try, and tells who named it. One
// that is busy is alive.
func (s *search[S]) fail(i int, err error) {
	c := s.at(i)
	silent, busy := errors.Is(err, dht.ErrTimeout), errors.Is(err, dht.ErrBusy)
	if silent {
		s.route.Timeouts++
	}
	if c.role == atOwner && int(c.tries) < s.d.cfg.tries() {
		switch {
		case silent:
			c.status = fresh
			return
		case busy, errors.Is(err, dht.ErrUnreachable):
			c.status, c.took = resting, s.elapsed()+s.d.cfg.pause()
			return
		}
	}
	c.status = dead
	s.busy, s.lost = s.busy || busy, s.lost || !busy
	if busy || c.role == atStart {
		return // or nobody has named it
	}
	s.d.router.Suspect(c.Peer)
	if namer := s.at(int(c.from)).Peer; !namer.Same(s.d.env.Self()) {
		s.send(namer, &suspect{Peer: c.Peer})
	}
}

// absorb takes over the candidates that the one at index i has named.
func (s *search[S]) absorb(i int, answer *found[S]) {
	from := *s.at(i)
	for _, step := range answer.Steps {
		if from.role == atStart || s.d.router.Nearer(s.key, step, from.Step) {
			s.add(&candidate[S]{Step: step, from: int16(i), role: onTheWay, hops: hops(&from, step.Peer)})
		}
	}
	for _, p := range answer.Owners {
		c := candidate[S]{Step: s.d.ownerStep(s.key, from.Peer, p), from: int16(i), role: atOwner, hops: hops(&from, p)}
		if p.Same(from.Peer) {
			c.Peer, c.status, c.took = from.Peer, live, from.took // it has just spoken for itself
		}
		s.add(&c)
	}
}

// hops counts moves from the origin to p; a node that names itself does not move.
func hops[S comparable](from *candidate[S], p dht.Peer) uint8 {
	if from.Peer.Same(p) {
		return from.hops
	}
	return from.hops + 1
}

// finish writes the owners that answered and the way to the first of them, or to
// the furthest point that was reached.
func (s *search[S]) finish() dht.Route {
	last := 0
	var c *candidate[S]
	for i := s.owners; i != nobody; i = c.next {
		if c = s.at(int(i)); c.status == live && len(s.route.Owners) < s.n {
			if len(s.route.Owners) == 0 {
				last = int(i)
			}
			s.route.Owners = append(s.route.Owners, c.Peer)
		}
	}
	if len(s.route.Owners) == 0 {
		last = s.furthest()
	}
	if last > 0 && s.at(last).Peer.Same(s.at(0).Peer) {
		last = int(s.at(last).from) // the way back to the origin is no hop
	}
	s.route.Hops = s.path(last)
	return s.route
}

func (s *search[S]) furthest() int {
	for i := s.steps; i != nobody; i = s.at(int(i)).next {
		if s.at(int(i)).status == live {
			return int(i)
		}
	}
	return 0
}

func (s *search[S]) path(last int) []dht.Hop {
	hops := make([]dht.Hop, s.at(last).hops)
	for i := last; i > 0; i = int(s.at(i).from) {
		c := s.at(i)
		if n := c.hops; n > s.at(int(c.from)).hops {
			hops[n-1] = dht.Hop{Peer: c.Peer, Latency: c.took, Why: c.Why}
		}
	}
	return hops
}
