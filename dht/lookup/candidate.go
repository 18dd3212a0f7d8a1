package lookup

import "time"

// candidate is a peer that was named, and how it has turned out.
type candidate[S comparable] struct {
	Step[S]
	took   time.Duration // until it answered; while asked, since when, and while resting, until when in the search
	from   int16         // index of who named it
	next   int16         // in its list: steps or owners
	hops   uint8         // moves from the origin to it
	round  uint8         // in which it is asked: the one after that of any answer before
	tries  int8
	late   int8 // requests to it that were given up and may still be answered
	role   role
	status status
}

type status uint8

const (
	fresh status = iota
	asked
	resting // an owner that could not take the question, and is asked again after a pause
	live
	dead
)

// maxCandidates bounds what answers can make a search remember.
const maxCandidates = 1024

// at is candidate i.
func (s *search[S]) at(i int) *candidate[S] {
	if i < few {
		return &s.few[i]
	}
	return &s.more[i-few]
}

// enter makes c the next candidate.
func (s *search[S]) enter(c *candidate[S]) {
	if s.count < few {
		s.few[s.count] = *c
	} else {
		s.more = append(s.more, *c)
	}
	s.count++
}

// add enters a candidate in its list, unless it is there or has failed already.
func (s *search[S]) add(c *candidate[S]) {
	if s.count == maxCandidates || int(c.hops) > s.d.cfg.HopLimit {
		return
	}
	for i := range s.count {
		o := s.at(i)
		owner := c.role == atOwner // which is the same whatever the state
		alike := o.Peer.Same(c.Peer) && (o.role == atOwner) == owner
		if !alike || !owner && o.State != c.State && o.status != dead {
			continue
		}
		if c.status == live && o.status != live && o.status != asked {
			o.Peer, o.status, o.took = c.Peer, live, c.took
		}
		return
	}
	s.insert(c)
}

// insert puts c into its list. It looks from the best one on: most are better than
// all before them.
func (s *search[S]) insert(c *candidate[S]) {
	head := &s.steps
	if c.role == atOwner {
		head = &s.owners
	}
	before, at := nobody, *head
	for at != nobody && !s.precedes(c, s.at(int(at))) {
		before, at = int(at), s.at(int(at)).next
	}
	c.next = at
	if before == nobody {
		*head = int16(s.count)
	} else {
		s.at(before).next = int16(s.count)
	}
	s.enter(c)
}

// precedes says whether a is to be asked before b, both of the same list.
func (s *search[S]) precedes(a, b *candidate[S]) bool {
	if a.role == atOwner {
		return s.d.router.Before(s.key, a.Peer, b.Peer)
	}
	return s.d.router.Nearer(s.key, a.Step, b.Step)
}
