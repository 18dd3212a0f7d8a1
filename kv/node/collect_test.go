package node

import (
	"regexp"
	"strconv"
	"testing"

	"dyschord/kv/gateway"
)

// metric reads a figure off /metrics; -1 if there is none.
func (n *Node) metric(t *testing.T, name string) int {
	t.Helper()
	text := fetch(t, plain, "GET", n.GatewayURL()+"/metrics", "", 200)
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\d+)$`).FindStringSubmatch(text)
	if found == nil {
		return -1
	}
	value, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestSlotsThatLackCopiesAreCountedAsTheRingCountsThem(t *testing.T) {
	lacking := func(nodes ...*Node) (metric, ring int) {
		for _, n := range nodes {
			metric += n.metric(t, "dyschord_under_replicated_slots")
		}
		ring = decode[gateway.Ring](t, fetch(t, plain, "GET", nodes[0].GatewayURL()+"/v1/ring", "", 200)).UnderReplicated
		return metric, ring
	}
	single := served(t, 1, nil)
	eventually(t, "a single node needs no more copies", func() bool {
		metric, ring := lacking(single...)
		return metric == 0 && ring == 0
	})
	nodes := served(t, 3, nil)
	eventually(t, "all copies are there", func() bool {
		metric, ring := lacking(nodes...)
		return metric == 0 && ring == 0
	})
	nodes[2].Close()
	eventually(t, "every slot lacks a copy", func() bool {
		metric, ring := lacking(nodes[:2]...)
		return metric == 16 && ring == 16
	})
}
