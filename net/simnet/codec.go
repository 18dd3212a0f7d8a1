package simnet

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"dyschord/dht"
	"dyschord/net/wire"
)

// identitySize is that of a libp2p peer id with an Ed25519 key; its last four bytes
// hold the Ref here.
const identitySize = 38

// addrSize is that of the multiaddr of an IPv4 address with a TCP port.
const addrSize = 8

// letters encodes messages as the real wire does: to count their bytes, and to
// check that they survive it. A contact is as long as that of a libp2p node with an
// Ed25519 key and one IPv4 address. Refs are those of the whole world, which a node
// of a large one would number lower: a peer may cost up to 6 bytes more than on
// real links.
type letters struct {
	net    *Net
	codec  *wire.Codec // of all kinds known; nil when a new one came
	buf    []byte
	record []byte // a contact; the Ref at refAt is filled in for each use
	refAt  int
}

func (l *letters) refresh() {
	if l.codec != nil {
		return
	}
	var kinds []dht.Kind
	for _, k := range l.net.kinds {
		if k != nil && k.New != nil {
			kinds = append(kinds, k.Kind)
		}
	}
	l.codec = wire.NewCodec(kinds)
	if l.record == nil {
		mark := []byte{0xde, 0xad, 0xbe, 0xef}
		identity := append(make([]byte, identitySize-len(mark)), mark...)
		record, err := wire.Contact{Identity: identity, Addrs: [][]byte{make([]byte, addrSize)}}.Encode()
		if err != nil {
			panic(err)
		}
		l.record, l.refAt = record, bytes.Index(record, mark)
	}
}

// contact is the record of a Ref, valid until the next call.
func (l *letters) contact(ref uint32) []byte {
	if l.net.Lookup(ref) == nil {
		return nil
	}
	binary.BigEndian.PutUint32(l.record[l.refAt:], ref)
	return l.record
}

func (l *letters) intern(record []byte) (dht.Peer, error) {
	if len(record) != len(l.record) {
		return dht.Peer{}, dht.ErrMalformed
	}
	nd := l.net.Lookup(binary.BigEndian.Uint32(record[l.refAt:]))
	if nd == nil {
		return dht.Peer{}, dht.ErrMalformed
	}
	return dht.Peer{ID: nd.id, Ref: nd.ref}, nil
}

// encode writes a payload into the shared buffer, or panics: a message that cannot
// be sent is a mistake of the sender's program.
func (l *letters) encode(m dht.Message) []byte {
	l.refresh()
	payload, err := l.codec.AppendPayload(l.buf[:0], m, l.contact)
	if err != nil {
		panic(fmt.Errorf("simnet: %T cannot be sent: %w", m, err))
	}
	if m.Code() < wire.FirstData && len(payload) > wire.MaxRouting {
		panic(fmt.Errorf("simnet: %T has a payload of %d bytes: a routing message may have %d", m, len(payload), wire.MaxRouting))
	}
	l.buf = payload
	return payload
}

// frames is the length of the frames that carry a payload.
func frames(payload []byte) int {
	whole := len(wire.BeginFrame(nil)) + len(payload)
	if whole <= wire.MaxFrame {
		return whole
	}
	var sum int
	fragments := wire.NewFragments(wire.Header{Type: wire.Request, Code: wire.FirstData}, payload)
	for last := false; !last; {
		var out []byte
		out, last = fragments.Append(nil, wire.MaxFrame)
		sum += len(out)
	}
	return sum
}

// post counts a message that is sent.
func (n *Net) post(k *kind, m dht.Message) {
	k.sent++
	if n.cfg.Identifiers {
		k.identifiers += uint64(wire.Identifiers(m))
	}
	every := uint64(n.cfg.Bytes)
	if every == 0 {
		return
	}
	if k.weighed == 0 || (k.sent-1)%every == 0 {
		k.weighed++
		k.weight += uint64(frames(n.letters.encode(m)))
	}
}

// postFailure counts an error that is sent.
func (n *Net) postFailure(err error) {
	n.failures.sent++
	if n.cfg.Bytes > 0 {
		n.failures.weighed++
		n.letters.buf = wire.AppendFailure(n.letters.buf[:0], 0, err)
		n.failures.weight += uint64(len(n.letters.buf))
	}
}

// bytes scales what was weighed to all that were sent.
func (k *kind) bytes() uint64 {
	switch k.weighed {
	case 0:
		return 0
	case k.sent:
		return k.weight
	}
	return uint64(float64(k.weight) / float64(k.weighed) * float64(k.sent))
}

// seal keeps a message as it is when it is sent, if messages are checked.
func (n *Net) seal(m dht.Message) *sealed {
	if !n.cfg.CheckCodec || m == nil {
		return nil
	}
	return &sealed{bytes.Clone(n.letters.encode(m))}
}

// sealed is a message as it was sent.
type sealed struct{ payload []byte }

// unseal gives the receiver its message: the sender's own, or if messages are
// checked, a copy that has gone over the wire.
func (n *Net) unseal(m dht.Message, sealed *sealed) dht.Message {
	if sealed == nil {
		return m
	}
	if !bytes.Equal(n.letters.encode(m), sealed.payload) {
		panic(fmt.Errorf("simnet: %T was changed after it had been sent", m))
	}
	received, err := n.letters.codec.DecodePayload(m.Code(), sealed.payload, n.letters.intern)
	if err != nil {
		panic(fmt.Errorf("simnet: %T does not survive the wire: %w", m, err))
	}
	if !bytes.Equal(n.letters.encode(received), sealed.payload) {
		panic(fmt.Errorf("simnet: %T is another message after it went over the wire", m))
	}
	return received
}
