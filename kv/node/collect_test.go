package node

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"

	"dyschord/kv"
	"dyschord/kv/gateway"
	"dyschord/kv/store"
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
	single := served(t, brisk(), 1)
	eventually(t, "a single node needs no more copies", func() bool {
		metric, ring := lacking(single...)
		return metric == 0 && ring == 0
	})
	nodes := served(t, brisk(), 3)
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

func TestEveryErrorHasANameInMetrics(t *testing.T) {
	seen := map[string]uint16{}
	m := newMetrics("chord")
	for code, name := range m.codes {
		if other, twice := seen[name]; twice || name == "" {
			t.Errorf("codes %d and %d are both %q", code, other, name)
		}
		seen[name] = code
	}
	if got := m.errorCode(fmt.Errorf("kv: get: %w", kv.ErrNotFound)); got != "not_found" {
		t.Errorf("not found is %q", got)
	}
	if got := m.codeName(65535); got != "other" {
		t.Errorf("a code from the future is %q", got)
	}
}

func TestKeysAreCountedAndCountedAgain(t *testing.T) {
	data := store.NewMemory(store.MemoryOptions{})
	put := func(slot uint32, seq uint64, key string) {
		var b store.Batch
		b.Append(slot, store.Record{Epoch: 1, Seq: seq, Key: []byte(key)})
		b.Index(slot, []byte(key), seq)
		if _, err := data.Apply(&b); err != nil {
			t.Fatal(err)
		}
	}
	var k keys
	for i, want := range []int{1, 2, 2, 3} {
		put([]uint32{0, 3, 3, 1}[i], []uint64{1, 1, 2, 1}[i], []string{"a", "a", "a", "b"}[i])
		if got, ok := k.count(t.Context(), data, 4); !ok || got != want {
			t.Errorf("%d keys, %v; want %d", got, ok, want)
		}
	}
	data.Close()
	if _, ok := k.count(t.Context(), data, 4); ok {
		t.Error("keys of a closed store were counted")
	}
}
