package lookup

import (
	"context"
	"errors"
	"slices"
	"time"

	"dyschord/dht"
)

// search is one lookup at its origin: a tree of candidates, each named by another.
type search[S comparable] struct {
	d     *Driver[S]
	key   dht.ID
	n     int   // owners wanted
	width uint8 // candidates per answer
	calls dht.Calls

	all      []candidate[S] // in the order of naming; 0 is the origin
	steps    []int16        // indices of candidates of the approach, nearest first
	owners   []int16        // indices of named owners, best first
	inFlight int            // requests whose answer matters
	waited   bool           // since the last round of requests
	began    time.Time
	route    dht.Route
}

// candidate is a peer that was named, and how it has turned out.
type candidate[S comparable] struct {
	Step[S]
	req     dht.Message   // in flight
	sent    time.Duration // when, since the search began
	latency time.Duration
	from    int16 // index of who named it
	hops    int16 // moves from the origin to it
	tries   int8
	role    role
	status  status
}

type status uint8

const (
	fresh status = iota
	asked
	live
	dead
)

// maxCandidates bounds what answers can make a search remember.
const maxCandidates = 1024

func newSearch[S comparable](d *Driver[S], key dht.ID, n int) *search[S] {
	return &search[S]{
		d: d, key: key, n: n,
		width: uint8(max(n, d.cfg.Redundancy)),
		calls: d.env.Calls(),
		all:   make([]candidate[S], 1, 1+3*d.cfg.Redundancy),
		steps: make([]int16, 0, 3*d.cfg.Redundancy),
		began: d.env.Now(),
		route: dht.Route{Key: key},
	}
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
	s.all[0] = candidate[S]{Step: Step[S]{Peer: s.d.env.Self(), State: state}, status: live}
}

// run asks until the owners are settled.
func (s *search[S]) run(ctx context.Context) error {
	for !s.settled() {
		s.dispatch()
		if s.settled() {
			break
		}
		if s.inFlight == 0 {
			return dht.ErrNoRoute
		}
		if err := s.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// wait takes the next result, or gives up what is overdue.
func (s *search[S]) wait(ctx context.Context) error {
	oldest := -1
	for i := range s.all {
		if s.all[i].req != nil && (oldest < 0 || s.all[i].sent < s.all[oldest].sent) {
			oldest = i
		}
	}
	env, limit := s.d.env, s.d.cfg.HopTimeout
	hop, cancel := env.WithTimeout(ctx, limit-s.elapsed()+s.all[oldest].sent)
	defer cancel()
	res, err := s.calls.Next(hop)
	switch {
	case err == nil:
		s.receive(res)
	case hop.Err() == nil || ctx.Err() != nil || errors.Is(err, dht.ErrClosed):
		return err
	default:
		s.ended(oldest, limit)
		s.fail(oldest, dht.ErrTimeout)
	}
	return nil
}

func (s *search[S]) elapsed() time.Duration { return s.d.env.Now().Sub(s.began) }

// ended notes that nothing is awaited from candidate i any more.
func (s *search[S]) ended(i int, after time.Duration) *candidate[S] {
	c := &s.all[i]
	c.req, c.latency = nil, after
	s.inFlight--
	s.waited = true
	return c
}

// settled says whether the n best owners that live have all answered.
func (s *search[S]) settled() bool {
	alive := 0
	for _, i := range s.owners {
		switch s.all[i].status {
		case live:
			if alive++; alive == s.n {
				return true
			}
		case fresh, asked:
			return false
		}
	}
	return alive > 0
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
	for _, i := range s.owners {
		c := &s.all[i]
		if c.status == dead {
			continue
		}
		settling = true
		if window == 0 {
			break
		}
		if c.status == fresh {
			return int(i), dht.MaxOwners
		}
		// One that has failed once may be dead: ask the one after it as well.
		if c.status == live || c.tries < 2 {
			window--
		}
	}
	if settling {
		return -1, 0
	}
	for _, i := range s.steps {
		if s.all[i].status == fresh {
			return int(i), s.d.cfg.Alpha
		}
	}
	return -1, 0
}

func (s *search[S]) ask(i int) {
	c := &s.all[i]
	c.tries++
	if c.Peer.Same(s.d.env.Self()) {
		s.askSelf(i)
		return
	}
	req := &find[S]{Key: s.key, State: c.State, Role: c.role, N: s.width}
	c.status, c.req, c.sent = asked, req, s.elapsed()
	if s.waited || s.route.Rounds == 0 {
		s.route.Rounds++
		s.waited = false
	}
	s.send(c.Peer, req)
	s.inFlight++
}

// askSelf answers from this node's own memory.
func (s *search[S]) askSelf(i int) {
	c := &s.all[i]
	c.status = live
	s.absorb(i, s.d.answer(&find[S]{Key: s.key, State: c.State, Role: c.role, N: s.width}))
}

func (s *search[S]) send(to dht.Peer, m dht.Message) {
	s.route.Messages++
	s.calls.Start(to, m)
}

func (s *search[S]) receive(res dht.Result) {
	i := 0
	for i < len(s.all) && s.all[i].req != res.Req {
		i++
	}
	if i == len(s.all) {
		return // the answer to a suspicion, or one that came too late
	}
	c := s.ended(i, res.RTT)
	if !res.From.IsZero() {
		c.Peer = res.From // in its present incarnation
	}
	answer, err := dht.As[*found[S]](res.Msg)
	if res.Err != nil {
		err = res.Err
	}
	if err == nil {
		err = answer.validate(s.width)
	}
	if err != nil {
		s.fail(i, err)
		return
	}
	c.status = live
	s.absorb(i, answer)
}

// fail gives a candidate up, or leaves it for another try, and tells who named it.
func (s *search[S]) fail(i int, err error) {
	c := &s.all[i]
	if errors.Is(err, dht.ErrTimeout) {
		s.route.Timeouts++
	}
	c.status = dead
	if c.role == atOwner && int(c.tries) < s.d.cfg.tries() && errors.Is(err, dht.ErrTimeout) {
		c.status = fresh
		return
	}
	if c.role != atStart {
		s.accuse(s.all[c.from].Peer, c.Peer)
	}
}

func (s *search[S]) accuse(namer, silent dht.Peer) {
	if namer.Same(s.d.env.Self()) {
		s.d.router.Suspect(silent)
		return
	}
	s.send(namer, &suspect{Peer: silent})
}

// absorb takes over the candidates that the one at index i has named.
func (s *search[S]) absorb(i int, answer *found[S]) {
	from := s.all[i]
	for _, step := range answer.Steps {
		if from.role == atStart || s.d.router.Nearer(s.key, step, from.Step) {
			s.add(&candidate[S]{Step: step, from: int16(i), role: onTheWay, hops: hops(&from, step.Peer)})
		}
	}
	for _, p := range answer.Owners {
		s.add(&candidate[S]{Step: Step[S]{Peer: p}, from: int16(i), role: atOwner, hops: hops(&from, p)})
	}
}

// hops counts moves from the origin to p; a node that names itself does not move.
func hops[S comparable](from *candidate[S], p dht.Peer) int16 {
	if from.Peer.Same(p) {
		return from.hops
	}
	return from.hops + 1
}

// add enters a candidate in its list, unless it is there or has failed already.
func (s *search[S]) add(c *candidate[S]) {
	if len(s.all) == maxCandidates || int(c.hops) > s.d.cfg.HopLimit {
		return
	}
	list := &s.steps
	if c.role == atOwner {
		list = &s.owners
	}
	for i := range s.all {
		o := &s.all[i]
		alike := o.Peer.Same(c.Peer) && (o.role == atOwner) == (c.role == atOwner)
		if alike && (o.State == c.State || o.status == dead) {
			return
		}
	}
	at := len(*list)
	for at > 0 && s.precedes(c, &s.all[(*list)[at-1]]) {
		at--
	}
	*list = slices.Insert(*list, at, int16(len(s.all)))
	s.all = append(s.all, *c)
}

// precedes says whether a is to be asked before b, both of the same list.
func (s *search[S]) precedes(a, b *candidate[S]) bool {
	if a.role == atOwner {
		return s.d.router.Before(s.key, a.Peer, b.Peer)
	}
	return s.d.router.Nearer(s.key, a.Step, b.Step)
}

// finish writes the owners that answered and the way to the first of them, or to
// the furthest point that was reached.
func (s *search[S]) finish() dht.Route {
	last := 0
	for _, i := range s.owners {
		if c := &s.all[i]; c.status == live && len(s.route.Owners) < s.n {
			if len(s.route.Owners) == 0 {
				last = int(i)
			}
			s.route.Owners = append(s.route.Owners, c.Peer)
		}
	}
	if len(s.route.Owners) == 0 {
		last = s.furthest()
	}
	if last > 0 && s.all[last].Peer.Same(s.all[0].Peer) {
		last = int(s.all[last].from) // the way back to the origin is no hop
	}
	s.route.Hops = s.path(last)
	return s.route
}

func (s *search[S]) furthest() int {
	for _, i := range s.steps {
		if s.all[i].status == live {
			return int(i)
		}
	}
	return 0
}

func (s *search[S]) path(last int) []dht.Hop {
	hops := make([]dht.Hop, s.all[last].hops)
	for i := last; i > 0; i = int(s.all[i].from) {
		c := &s.all[i]
		if at := c.hops; at > s.all[c.from].hops {
			hops[at-1] = dht.Hop{Peer: c.Peer, Latency: c.latency, Why: c.Why}
		}
	}
	return hops
}
