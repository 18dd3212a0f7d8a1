package node

import (
	"bytes"
	"context"
	"slices"
	"time"

	"dyschord/dht"
)

const (
	maxContacts  = 32
	contactEvery = 10 * time.Second
)

// keepContacts writes down who the other members are, if that has changed, so that
// the node finds back after a restart.
func (n *Node) keepContacts(ctx context.Context) {
	if n.dir == nil {
		return
	}
	records, err := n.neighbours(ctx)
	if err != nil || n.kept != nil && slices.EqualFunc(records, n.kept, bytes.Equal) {
		return // the node ends, or all is as it was
	}
	if err := n.dir.savePeers(records); err != nil {
		n.log.Warn("cannot write down the other members", "err", err)
		return
	}
	n.kept = append([][]byte{}, records...)
}

// neighbours are the contacts of peers that the overlay holds, the first ones twice
// named counted once.
func (n *Node) neighbours(ctx context.Context) (records [][]byte, err error) {
	err = n.host.Do(ctx, func(context.Context) {
		seen := []dht.Peer{n.self()}
		for p := range n.overlay.Peers() {
			if len(records) == maxContacts || slices.ContainsFunc(seen, p.Same) {
				continue
			}
			seen = append(seen, p)
			if record := n.host.Env().Record(p); record != nil {
				records = append(records, record)
			}
		}
	})
	return records, err
}
