package simnet

import (
	"fmt"
	"slices"

	"dyschord/dht"
)

// kind is a message type as the whole world knows it, and its traffic.
type kind struct {
	dht.Kind
	waits dht.Waits

	sent, delivered, timeouts uint64
	weighed, weight           uint64 // messages whose bytes were counted, and those bytes
	identifiers               uint64
}

// kindOf finds or makes the kind of a code.
func (n *Net) kindOf(code uint16) *kind {
	if int(code) < len(n.kinds) && n.kinds[code] != nil {
		return n.kinds[code]
	}
	n.kinds = append(n.kinds, make([]*kind, max(0, int(code)+1-len(n.kinds)))...)
	k := &kind{Kind: dht.Kind{Code: code, Name: fmt.Sprintf("code_%d", code)}}
	n.kinds[code] = k
	return k
}

// layout says which of a node's services handles a code. Nodes with equal services
// share one.
type layout struct {
	index []uint8 // by code: the service's number from 1
}

func (n *Net) layoutOf(services []dht.Service) *layout {
	built := &layout{}
	for i, service := range services {
		for _, k := range service.Kinds() {
			n.register(k)
			built.add(k, i)
		}
	}
	for _, l := range n.layouts {
		if slices.Equal(l.index, built.index) {
			return l
		}
	}
	n.layouts = append(n.layouts, built)
	return built
}

func (n *Net) register(k dht.Kind) {
	known := n.kindOf(k.Code)
	if known.New == nil {
		known.Kind, known.waits = k, k.Waits
		n.letters.codec = nil
	} else if known.Name != k.Name || known.Waits != k.Waits {
		panic(fmt.Sprintf("simnet: kind %d is both %q and %q", k.Code, known.Name, k.Name))
	}
}

func (l *layout) add(k dht.Kind, service int) {
	l.index = append(l.index, make([]uint8, max(0, int(k.Code)+1-len(l.index)))...)
	if l.index[k.Code] != 0 {
		panic(fmt.Sprintf("simnet: kind %d (%s) belongs to two services", k.Code, k.Name))
	}
	l.index[k.Code] = uint8(service + 1)
}

// service finds who handles a code; nil if nobody does.
func (e *env) service(code uint16) dht.Service {
	if int(code) >= len(e.layout.index) || e.layout.index[code] == 0 {
		return nil
	}
	return e.services[e.layout.index[code]-1]
}
