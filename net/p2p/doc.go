// Package p2p runs a node over libp2p: it is the real world behind dht.Env. It is the
// only package that imports libp2p.
//
//	host, err := p2p.New(p2p.Config{Key: key, Inc: boot, Listen: listen, Settings: agreed})
//	err = host.Do(ctx, func(context.Context) { overlay = build(host.Env()) })
//	host.Serve(overlay)
//	err = host.Start()
//	seed, err := host.Resolve(ctx, "/ip4/192.0.2.7/tcp/4001")
//	err = host.Do(ctx, func(ctx context.Context) { failed = overlay.Join(ctx, seed) })
//	...
//	host.Close()
//
// # The monitor
//
// All code of the services runs inside one mutex, the node's monitor, and leaves it
// in every blocking call: one activity runs at a time. Activities begin in the order
// in which they were started, because whoever leaves the monitor hands it to the
// next one that waits for its first turn. Handlers are entered by the goroutine that
// reads the stream, in the order of arrival.
//
// Nothing that may wait happens inside: messages are queued as pointers and encoded
// by the stream's writer, replies are decoded by its reader, dials have goroutines of
// their own. Other locks (link, queue, book, calls) are held for moments, and taken
// inside the monitor, never around it.
//
// # Streams
//
// A node that asks another keeps one stream to it, and is asked by it on another; both
// share a connection. Each has one reader and one writer. A connection turns every
// Write into an encrypted record and a system call, so the writer gathers: it lets the
// other goroutines run once before it takes the queue, if more than one request is
// under way, and then writes all of it, up to 64 KiB at a time. Package wire says how
// the frames look. What carries values goes behind the rest in fragments, so that a
// small message waits for one frame at most.
//
// Queues are bounded in bytes and requests in number, for each peer and direction;
// what is too much ends at once with dht.ErrBusy, which says that the request was not
// carried out: a reply that cannot be sent or read is dht.ErrGaveUp. A peer that stops
// reading fills its own queue and stops nobody else; if it asks without reading its
// answers, it is not read any more either.
//
// The queues end where libp2p's buffers begin, which hold some MiB for each
// connection. On a slow link a small message waits for what is in there, although it
// passes what is still in the queue.
//
// # Finding and losing peers
//
// The first request to a peer dials it; those that follow wait with it. When the dial
// fails all of them end with dht.ErrUnreachable, and so do the next, at once, until a
// jittered pause has passed that doubles up to some seconds. A peer that calls us may
// be dialled at once. Time-outs adapt to each peer (package internal/rto), from its
// handshake on; for a long message the time begins when its last byte is written. When
// a peer has been silent for a while although requests wait, it is probed, and then
// its connection is given up. When a connection is lost, requests that were sent end with
// dht.ErrTimeout and the others with dht.ErrUnreachable.
//
// # Who belongs together
//
// Connections are authenticated by libp2p, so a peer's identity is certain, and its
// identifier is computed from that. On each new stream both sides tell the settings
// that all members of a cluster agree on, their incarnation and their addresses. A
// node that differs is refused, and both log the values; so is a node whose identifier
// another connected node holds (possible where identifiers are chosen by hand), and
// an earlier run of an identity whose later run is connected. Host.Refusals tells.
//
// A stream belongs to one incarnation of each side, so a reply can only come from the
// run that was asked: Result.From names it. When a restarted peer calls, the stream
// to its former run ends.
//
// # Contacts
//
// The book keeps what is needed to reach a peer. What a peer says of itself outweighs
// what others say, until a dial there fails. Contacts that no service holds
// (dht.Service.Peers) are forgotten ten minutes after they were last mentioned. The
// book is bounded, and peers only heard of get half of it, so that nobody can fill it
// with inventions and keep out who is really there. For the same reason connections
// on which nothing is open are closed, whoever has opened them.
package p2p
