package p2p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	mss "github.com/multiformats/go-multistream"

	"dyschord/dht"
	"dyschord/net/wire"
)

// open dials the peer, if need be, and opens the stream on which we ask it. The
// error is dht.ErrUnreachable, or dht.ErrRejected when one of the two does not want
// the other.
func (l *link) open(ctx context.Context) (*outbound, error) {
	pid, addrs, known := l.h.book.where(l.ref)
	if !known {
		return nil, errUnknownPeer
	}
	reused := l.h.net.swarm.Connectedness(pid) == network.Connected
	if len(addrs) == 0 && !reused {
		return nil, unreachable(errors.New("no address of it is known"))
	}
	l.h.book.touch(l.ref)
	l.h.net.teach(pid, addrs)
	if !reused {
		o, _, err := l.openOnce(ctx)
		return o, err
	}
	// The connection may be dead without anybody having noticed.
	half, cancel := context.WithTimeout(ctx, l.h.cfg.DialTimeout/2)
	o, conn, err := l.openOnce(half)
	cancel()
	if err == nil || errors.Is(err, dht.ErrRejected) {
		return o, err
	}
	if conn != nil {
		conn.Close() //nolint:errcheck // it does not work in any case
	}
	o, _, err = l.openOnce(ctx)
	return o, err
}

// openOnce opens a stream and says hello on it. It returns the connection it tried
// as well.
func (l *link) openOnce(ctx context.Context) (*outbound, network.Conn, error) {
	s, err := l.h.net.swarm.NewStream(dialContext(ctx, l.h.cfg.DialTimeout), l.pid)
	if err != nil {
		return nil, nil, unreachable(dialCause(err))
	}
	deadline, _ := ctx.Deadline()
	stop := context.AfterFunc(ctx, func() { s.Reset() }) //nolint:errcheck // it ends what waits
	defer stop()
	o, err := l.greet(s, deadline)
	if err != nil {
		s.Reset() //nolint:errcheck // it is given up
	}
	return o, s.Conn(), err
}

// greet is the opening side of the handshake.
func (l *link) greet(s network.Stream, deadline time.Time) (*outbound, error) {
	s.SetDeadline(deadline) //nolint:errcheck // the context bounds it too
	first, err := wire.AppendHello(nil, l.h.hello())
	if err != nil {
		return nil, err
	}
	began := time.Now()
	negotiated := mss.NewMSSelect(s, protocol.ID(wire.Protocol))
	if _, err := negotiated.Write(first); err != nil {
		return nil, unreachable(err)
	}
	r := newReader(negotiated, &l.h.counters)
	theirs, err := readHello(r)
	if errors.Is(err, mss.ErrNotSupported[protocol.ID]{}) {
		return nil, l.refused(s, fmt.Sprintf("it does not speak %s", wire.Protocol))
	}
	if err != nil {
		return nil, unreachable(fmt.Errorf("handshake: %w", err))
	}
	reason := l.h.objection(theirs, l.pid)
	if reason == "" {
		reason = theirs.Refusal
	}
	if reason != "" {
		return nil, l.refused(s, reason)
	}
	p, err := l.h.admit(theirs, l.pid)
	if err != nil {
		return nil, l.refused(s, err.Error())
	}
	s.SetDeadline(time.Time{}) //nolint:errcheck // a stream that is closed ends anyway
	r.from = s
	l.times.learn(r.now.Sub(began))
	return newOutbound(l, s, p, r, int(theirs.MaxData)), nil
}

func readHello(r *reader) (wire.Hello, error) {
	f, err := r.next()
	if err != nil {
		return wire.Hello{}, err
	}
	return wire.DecodeHello(f)
}

// receive is the called side of the handshake; the swarm runs it for each new stream.
func (h *Host) receive(s network.Stream) {
	pid := s.Conn().RemotePeer()
	if err := h.welcome(s, pid); err != nil {
		h.log.Debug("handshake failed", "peer", pid, "err", err)
		s.Reset() //nolint:errcheck // it is given up
	}
}

// welcome makes a link's inbound stream of s, and serves it until it ends.
func (h *Host) welcome(s network.Stream, pid peer.ID) error {
	s.SetDeadline(time.Now().Add(2 * h.cfg.DialTimeout)) //nolint:errcheck // a broken stream fails below
	if _, _, err := h.net.mux.Negotiate(s); err != nil {
		return err
	}
	r := newReader(s, &h.counters)
	theirs, err := readHello(r)
	if err != nil {
		return err
	}
	var from dht.Peer
	reason := h.objection(theirs, pid)
	if reason == "" {
		if from, err = h.admit(theirs, pid); err != nil {
			reason = err.Error()
		}
	}
	answer := h.hello()
	answer.Refusal = reason
	if diff := wire.Mismatch(theirs.Settings, h.cfg.Settings); diff != "" {
		answer.Refusal = diff // seen from there
	}
	if reason != "" {
		h.refusals.note(h.log, pid, s.Conn().RemoteMultiaddr().String(), reason)
		h.counters.Refused.Add(1)
	}
	first, err := wire.AppendHello(nil, answer)
	if err == nil {
		_, err = s.Write(first)
	}
	if err != nil {
		return err
	}
	if reason != "" {
		return s.Close()
	}
	l := h.link(from.Ref)
	if l == nil {
		return errUnknownPeer
	}
	s.SetDeadline(time.Time{}) //nolint:errcheck // a stream that is closed ends anyway
	h.counters.Accepted.Add(1)
	in := newInbound(l, s, from, r, int(theirs.MaxData))
	in.serve(l.accept(in))
	return nil
}

// objection says why this host will not talk to the sender of a hello; "" if it will.
func (h *Host) objection(theirs wire.Hello, pid peer.ID) string {
	if diff := wire.Mismatch(h.cfg.Settings, theirs.Settings); diff != "" {
		return diff
	}
	id, err := h.book.identifier(pid, theirs.ID)
	if err != nil {
		return err.Error()
	}
	if holder, taken := h.holder(id, pid); taken {
		return fmt.Sprintf("identifier %s is taken by %s", h.cfg.Space.Format(id), holder)
	}
	return h.outdated(theirs, pid)
}

// holder returns another node that holds id and is connected, this one included.
func (h *Host) holder(id dht.ID, not peer.ID) (peer.ID, bool) {
	if h.self.ID == id && h.pid != not {
		return h.pid, true
	}
	for _, l := range h.links() {
		if l.pid != not && l.standsAt(id) {
			return l.pid, true
		}
	}
	return "", false
}

// standsAt says whether a stream is open to a peer with that identifier.
func (l *link) standsAt(id dht.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out != nil && l.out.peer.ID == id || l.in != nil && l.in.from.ID == id
}

// admit notes what the sender of a hello says of itself.
func (h *Host) admit(theirs wire.Hello, pid peer.ID) (dht.Peer, error) {
	addrs, err := parseRaw(theirs.Addrs)
	if err != nil {
		return dht.Peer{}, err
	}
	p, err := h.book.meet(pid, addrs, theirs.ID)
	p.Inc = theirs.Inc
	return p, err
}

// outdated says why the run of an identity that said theirs is refused: a later run
// is connected.
func (h *Host) outdated(theirs wire.Hello, pid peer.ID) string {
	for _, l := range h.links() {
		if now := l.incarnation(); l.pid == pid && now > theirs.Inc {
			return fmt.Sprintf("incarnation %d of %s is over: incarnation %d is running", theirs.Inc, pid, now)
		}
	}
	return ""
}

// incarnation is the latest run of the peer that a stream is open to; 0 for none.
func (l *link) incarnation() (inc uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.in != nil {
		inc = l.in.from.Inc
	}
	if l.out != nil {
		inc = max(inc, l.out.peer.Inc)
	}
	return inc
}

// accept makes in the stream on which the peer asks us, and returns the one before.
// If the peer was restarted, the stream on which we asked its former run ends.
func (l *link) accept(in *inbound) (before *inbound) {
	l.mu.Lock()
	before, l.in = l.in, in
	l.fails, l.until = 0, time.Time{}
	stale := l.out
	if stale != nil && stale.peer.Inc == in.from.Inc {
		stale = nil
	}
	l.mu.Unlock()
	if stale != nil {
		stale.end(errors.New("the peer was restarted"))
	}
	return before
}

// leave forgets a stream that has ended.
func (l *link) leave(in *inbound) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.in == in {
		l.in = nil
	}
}

// refused notes that this host and a peer do not belong together.
func (l *link) refused(s network.Stream, reason string) error {
	l.h.counters.Refused.Add(1)
	l.h.refusals.note(l.h.log, l.pid, s.Conn().RemoteMultiaddr().String(), reason)
	return &dht.Error{Code: dht.ErrRejected.Code, Text: fmt.Sprintf("%v: %s", dht.ErrRejected, reason)}
}

// regular returns nil for the end of a stream that was closed as it should be.
func regular(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// dialCause puts what the swarm says of a failed dial into one line.
func dialCause(err error) error {
	var failed *swarm.DialError
	if !errors.As(err, &failed) || len(failed.DialErrors) == 0 {
		return err
	}
	var all []string
	for _, e := range failed.DialErrors {
		all = append(all, fmt.Sprintf("%s: %v", e.Address, e.Cause))
	}
	slices.Sort(all)
	return errors.New(joinFew(all))
}
