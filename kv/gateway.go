package kv

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"dyschord/dht"
)

// Get returns the committed value of key. The error is ErrNotFound if there is
// none, which is as binding as a value; ErrUnavailable if no majority answered before
// ctx (or Config.Timeout) ended; or ErrBadKey, ErrOverloaded.
func (n *Node) Get(ctx context.Context, key []byte) (Item, Path, error) {
	reply, path, err := n.operate(ctx, &request{Op: opGet, Key: key})
	if err != nil {
		return Item{}, path, fmt.Errorf("kv: get: %w", err)
	}
	return Item{Value: reply.Value, Type: reply.Type, Version: reply.Version, Modified: timeOf(reply.Modified)}, path, nil
}

// Put stores a value. It was applied if the error is nil; it may have been, or may
// still be, if it is ErrUnknown; and it was not and will not be with any other error.
func (n *Node) Put(ctx context.Context, key []byte, p Put) (Written, Path, error) {
	switch {
	case len(p.Value) > n.cfg.MaxValue:
		return Written{}, Path{}, fmt.Errorf("kv: put of %d bytes, %d are allowed: %w", len(p.Value), n.cfg.MaxValue, ErrTooLarge)
	case len(p.Type) > maxType:
		return Written{}, Path{}, fmt.Errorf("kv: put with a content type of %d bytes, %d are allowed: %w", len(p.Type), maxType, ErrTooLarge)
	}
	return n.change(ctx, "put", &request{Op: opPut, Key: key, Value: p.Value, Type: p.Type})
}

// Delete removes the value of key, if there is one. Errors are those of Put.
func (n *Node) Delete(ctx context.Context, key []byte) (Written, Path, error) {
	return n.change(ctx, "delete", &request{Op: opDelete, Key: key})
}

const maxType = 256

func (n *Node) change(ctx context.Context, what string, q *request) (Written, Path, error) {
	q.ID = n.nextID()
	reply, path, err := n.operate(ctx, q)
	if err != nil {
		return Written{}, path, fmt.Errorf("kv: %s: %w", what, err)
	}
	return Written{
		Version: reply.Version, Existed: reply.Existed, Acks: int(reply.Acks), Replicas: int(reply.Replicas),
	}, path, nil
}

// nextID makes an identifier that no other request has.
func (n *Node) nextID() []byte {
	n.opCount++
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, n.nonce), n.opCount)
}

// operation is one request of a client, through all attempts.
type operation struct {
	q    *request
	path Path
	aged bool // it was refused for its age once
	open bool // an attempt of a write may have been, or may still be, carried out
	wait time.Duration
}

// operate brings a request to the primary of its slot, and tries again until ctx
// ends or there is an answer.
func (n *Node) operate(ctx context.Context, q *request) (*response, Path, error) {
	if len(q.Key) == 0 || len(q.Key) > MaxKey {
		return nil, Path{}, fmt.Errorf("a key of %d bytes: %w", len(q.Key), ErrBadKey)
	}
	if n.ops >= n.cfg.MaxOps {
		return nil, Path{}, ErrOverloaded
	}
	n.ops++
	defer func() { n.ops-- }()
	q.Slot = n.cfg.slotOf(n.cfg.Space.KeyID(q.Key))
	q.Stamp = n.seen[q.Slot]
	ctx, cancel := n.env.WithTimeout(ctx, n.cfg.Timeout)
	defer cancel()
	op := &operation{q: q, path: Path{Slot: q.Slot}, wait: n.cfg.Heartbeat / 50}
	started := n.env.Now()
	reply, err := n.attempts(ctx, op)
	n.env.Emit(Operated{Op: q.Op.String(), Err: err, Took: n.env.Now().Sub(started)})
	return reply, op.path, err
}

func (n *Node) attempts(ctx context.Context, op *operation) (*response, error) {
	for {
		reply, err := n.attempt(ctx, op)
		switch {
		case err == nil && !reply.Moved && !reply.Stale:
			n.seen[op.q.Slot] = max(n.seen[op.q.Slot], reply.Last)
			return reply, nil
		case err == nil && reply.Stale && op.open:
			return nil, ErrUnknown
		case err == nil && reply.Stale:
			n.restamp(op, reply.Last)
			if !op.aged {
				op.aged = true
				continue
			}
		case err != nil && final(err):
			if op.open && !errors.Is(err, ErrNotFound) {
				return nil, fmt.Errorf("%w: %w", ErrUnknown, err)
			}
			return nil, err
		}
		if n.env.Sleep(ctx, n.jitter(op.wait/2, op.wait)) != nil {
			return nil, op.giveUp(err)
		}
		op.wait = min(2*op.wait, n.cfg.Heartbeat/2)
	}
}

// restamp begins a request anew that was refused for its age alone: under a new
// identifier, since nothing was carried out under the old one.
func (n *Node) restamp(op *operation, last uint64) {
	q := *op.q
	n.seen[q.Slot] = max(n.seen[q.Slot], last)
	q.ID, q.Stamp = n.nextID(), n.seen[q.Slot]
	op.q = &q
}

// final says whether an answer ends an operation.
func final(err error) bool {
	for _, end := range []error{ErrNotFound, ErrBadKey, ErrTooLarge, ErrFull, ErrOverloaded, dht.ErrClosed} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// giveUp is the error of an operation whose time is over.
func (op *operation) giveUp(last error) error {
	kind := ErrUnavailable
	if op.open {
		kind = ErrUnknown
	}
	if last == nil || errors.Is(last, kind) {
		return kind
	}
	return fmt.Errorf("%w: %w", kind, last)
}

// attempt asks the node that should be the slot's primary, once.
func (n *Node) attempt(ctx context.Context, op *operation) (*response, error) {
	q := op.q
	c, hops, err := n.locate(ctx, q.Slot)
	op.path.Hops += hops
	if err != nil {
		return nil, err
	}
	p := c.primary()
	op.path.Owner = p
	if p.Same(n.self()) {
		return n.here(ctx, op)
	}
	if n.dead(p) {
		n.seek(ctx, q.Slot, c)
		return nil, fmt.Errorf("%w: primary %s of slot %d does not answer", ErrUnavailable, p, q.Slot)
	}
	if s := n.slots[q.Slot]; q.Op == opGet && s != nil && n.active(s, c.Epoch) {
		vouched := *q
		vouched.Active = c.Epoch
		q = &vouched
	}
	limited, cancel := n.env.WithTimeout(ctx, max(2*n.cfg.Heartbeat, n.cfg.Timeout/4))
	defer cancel()
	reply, err := dht.Ask[*response](limited, n.env, p, q)
	switch {
	case err == nil:
		n.learn(q.Slot, reply.Known)
		return reply, nil
	case uncertain(err):
		op.open = op.open || q.Op != opGet
	}
	if final(err) && !errors.Is(err, dht.ErrClosed) || errors.Is(err, ErrUnavailable) {
		return nil, err
	}
	n.seek(ctx, q.Slot, c)
	return nil, err
}

// uncertain says whether a request that ended with err may have been carried out.
func uncertain(err error) bool {
	for _, no := range []error{
		ErrNotFound, ErrUnavailable, ErrBadKey, ErrTooLarge, ErrFull, ErrOverloaded, ErrLeaving,
		dht.ErrUnreachable, dht.ErrBusy, dht.ErrRejected, dht.ErrUnknownMessage,
	} {
		if errors.Is(err, no) {
			return false
		}
	}
	return true
}

// here carries a request out on this node and waits for its end.
func (n *Node) here(ctx context.Context, op *operation) (*response, error) {
	var reply *response
	var failed error
	done, sig := false, n.env.Signal()
	if s := n.slots[op.q.Slot]; s != nil && !op.open && op.q.Stamp < s.Com {
		q := *op.q
		q.Stamp = s.Com
		op.q = &q
	}
	n.carryOut(op.q, n.self(), func(m *response, err error) {
		reply, failed, done = m, err, true
		sig.Notify()
	})
	for !done {
		if err := sig.Wait(ctx); err != nil {
			op.open = op.open || op.q.Op != opGet
			return nil, err
		}
	}
	if failed != nil && uncertain(failed) {
		op.open = op.open || op.q.Op != opGet
	}
	return reply, failed
}

// onRequest carries out a request that another node sent on.
func (n *Node) onRequest(from dht.Peer, q *request, r dht.Reply) {
	switch {
	case int(q.Slot) >= len(n.slots), q.Op < opGet || q.Op > opDelete, len(q.Type) > maxType,
		len(q.Key) == 0, len(q.Key) > MaxKey, q.Op != opGet && len(q.ID) != requestIDLen,
		q.Slot != n.cfg.slotOf(n.cfg.Space.KeyID(q.Key)):
		r.Send(nil, dht.ErrMalformed)
		return
	case len(q.Value) > n.cfg.MaxValue:
		r.Send(nil, ErrTooLarge)
		return
	case n.ops >= 2*n.cfg.MaxOps:
		r.Send(nil, ErrOverloaded)
		return
	}
	n.ops++
	n.carryOut(q, from, func(m *response, err error) {
		n.ops--
		if err != nil {
			r.Send(nil, err)
			return
		}
		r.Send(m, nil)
	})
}

// carryOut does what a primary does with a request. done is called once.
func (n *Node) carryOut(q *request, from dht.Peer, done func(*response, error)) {
	s := n.held(q.Slot)
	switch {
	case s == nil || !n.serving(s):
		done(&response{Moved: true, known: n.newer(q.Slot, 0)}, nil)
	case q.Op == opGet:
		vouched := q.Active == s.Cfg.Epoch && s.Cfg.has(from) && !from.Same(n.self())
		n.get(s, q.Key, vouched, done)
	default:
		n.write(s, q, done)
	}
}

// locate says which configuration is the latest that can be heard of, and how many
// hops it took to ask.
func (n *Node) locate(ctx context.Context, id uint32) (*configuration, int, error) {
	if c := n.latest(id); c != nil {
		return c, 0, nil
	}
	route, err := n.overlay.Lookup(ctx, n.cfg.first(id), min(n.cfg.Replicas, dht.MaxOwners))
	hops := len(route.Hops)
	if err != nil && len(route.Owners) == 0 {
		return nil, hops, fmt.Errorf("%w: slot %d: %w", ErrUnavailable, id, err)
	}
	asked := n.others(route.Owners)
	n.askAll(ctx, asked, id)
	if n.latest(id) == nil {
		n.askAll(ctx, n.acquaintances(asked), id)
	}
	if c := n.latest(id); c != nil {
		return c, hops, nil
	}
	return nil, hops, fmt.Errorf("%w: nobody who answered knows where slot %d is", ErrUnavailable, id)
}

// acquaintances are some peers that the overlay holds, but those already asked.
func (n *Node) acquaintances(asked []dht.Peer) []dht.Peer {
	const most = 16
	var some []dht.Peer
	for p := range n.overlay.Peers() {
		if len(some) == most {
			break
		}
		if !contains(asked, p) && !contains(some, p) {
			some = append(some, plain(p))
		}
	}
	return n.others(some)
}

// seek asks around for a later configuration, after the primary of c did not answer:
// the other members, and whoever the overlay names.
func (n *Node) seek(ctx context.Context, id uint32, c *configuration) {
	around := n.others(c.Members)
	near, _ := n.overlay.Near(n.cfg.first(id), n.cfg.Replicas)
	around = union(around, n.others(near))
	around = slices.DeleteFunc(around, func(p dht.Peer) bool { return p.Same(c.primary()) })
	n.askAll(ctx, around, id)
}
