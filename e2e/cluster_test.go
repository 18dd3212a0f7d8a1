package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// member is one node of a cluster, over all its runs.
type member struct {
	*process
	name string
	dir  string
	args []string
	peer string // where other nodes reach it
	url  string // gateway
	ctl  string // admin listener
}

// cluster is a set of nodes on this machine that share their settings.
type cluster struct {
	settings []string
	members  []*member
}

// upkeep makes a cluster notice failures sooner than the defaults do.
var upkeep = []string{"--heartbeat=250ms", "--chord.stabilize=250ms", "--kademlia.interval=250ms", "--koorde.stabilize=250ms"}

// settingsOf are those of the nodes of an algorithm, and more.
func settingsOf(algorithm string, more ...string) []string {
	return slices.Concat([]string{"--algorithm=" + algorithm}, upkeep, more)
}

// found starts n nodes of an algorithm and waits until all data has all its copies.
func found(algorithm string, n int, settings ...string) *cluster {
	GinkgoHelper()
	c := &cluster{settings: settingsOf(algorithm, settings...)}
	for range n {
		c.join()
	}
	c.healthy(n)
	return c
}

// join starts one more node, with a data directory of its own.
func (c *cluster) join() *member {
	GinkgoHelper()
	name := fmt.Sprintf("node%d", len(c.members))
	m := newMember(name, filepath.Join(GinkgoT().TempDir(), name), c.settings...)
	for _, other := range c.members[:min(2, len(c.members))] {
		m.args = append(m.args, "--bootstrap="+other.peer)
	}
	c.members = append(c.members, m)
	m.run()
	return m
}

// newMember chooses the addresses of a node.
func newMember(name, dir string, settings ...string) *member {
	GinkgoHelper()
	port := freePorts(3)
	m := &member{
		name: name, dir: dir,
		peer: fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port),
		url:  fmt.Sprintf("http://127.0.0.1:%d", port+1),
		ctl:  fmt.Sprintf("http://127.0.0.1:%d", port+2),
	}
	m.args = append([]string{
		"node", "--data-dir=" + dir, "--listen=" + m.peer, "--log-format=json",
		"--gateway=" + strings.TrimPrefix(m.url, "http://"), "--admin=" + strings.TrimPrefix(m.ctl, "http://"),
	}, settings...)
	return m
}

// run starts the node, for the first time or again.
func (m *member) run() {
	GinkgoHelper()
	m.process = start(m.name, m.args...)
}

// status is what GET /v1/node says.
type status struct {
	ID, State, Cluster, Algorithm, Error string
	PeerID                               string `json:"peer_id"`
}

// status asks the node about itself.
func (m *member) status() (status, error) {
	var s status
	a, err := get(m.url + "/v1/node")
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(a.body, &s)
}

// live lists the members that run.
func (c *cluster) live() []*member {
	var live []*member
	for _, m := range c.members {
		if m.running() {
			live = append(live, m)
		}
	}
	return live
}

// urls lists the gateways of the members that run.
func (c *cluster) urls() []string {
	var urls []string
	for _, m := range c.live() {
		urls = append(urls, m.url)
	}
	return urls
}

// ring is what `dyschord status --json` says.
type ring struct {
	Members []struct {
		ID    string `json:"id"`
		State string `json:"state"`
	} `json:"members"`
	Slots           []json.RawMessage `json:"slots"`
	UnderReplicated int               `json:"under_replicated_slots"`
	Complete        bool              `json:"complete"`
}

// healthy waits until every running node says so, with n members that are up.
func (c *cluster) healthy(n int) {
	GinkgoHelper()
	for _, m := range c.live() {
		Eventually(func(g Gomega) {
			got := dyschord("status", "--json", "--gateway="+m.url)
			g.Expect(got.code).To(Equal(0), "%s%s", got.stdout, got.stderr)
			var r ring
			g.Expect(json.Unmarshal([]byte(got.stdout), &r)).To(Succeed())
			g.Expect(r.Members).To(HaveLen(n))
			g.Expect(r.Members).To(HaveEach(HaveField("State", "up")))
		}, "60s", "200ms").Should(Succeed(), "the cluster did not become healthy, as %s sees it", m.name)
	}
}
