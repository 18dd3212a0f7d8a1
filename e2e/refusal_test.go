package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"dyschord/dht/overlays"
)

// oneLine requires what a person sees of a failure: one line, with these parts.
func oneLine(got outcome, code int, parts ...string) {
	GinkgoHelper()
	Expect(got.code).To(Equal(code), got.stderr)
	lines := strings.Split(strings.TrimSuffix(got.stderr, "\n"), "\n")
	last := lines[len(lines)-1]
	Expect(last).To(HavePrefix("dyschord: "))
	for _, part := range parts {
		Expect(last).To(ContainSubstring(part))
	}
	for _, line := range lines[:len(lines)-1] {
		Expect(line).To(HavePrefix("time="), "a line beside the log: %s", line)
	}
}

// quiet are the arguments of a node that takes any free port.
func quiet(args ...string) []string {
	return append([]string{"node", "--listen=/ip4/127.0.0.1/tcp/0", "--gateway=127.0.0.1:0", "--admin=", "--log-level=error"}, args...)
}

var _ = Describe("what cannot work", func() {
	It("is a wrong setting: usage", func() {
		oneLine(dyschord(quiet("--replicas=many")...), 2, "replicas", "--replicas", "1 to 9")
	})

	It("is an occupied port", func() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(l.Close)
		for flag, value := range map[string]string{
			"--gateway": l.Addr().String(),
			"--admin":   l.Addr().String(),
			"--listen":  fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", l.Addr().(*net.TCPAddr).Port),
		} {
			oneLine(dyschord(quiet("--data-dir=", flag+"="+value)...), 1, value, "in use")
		}
	})

	It("is a data directory that cannot be written, or holds something else", func() {
		dir := GinkgoT().TempDir()
		file := filepath.Join(dir, "thesis.tex")
		Expect(os.WriteFile(file, []byte("chapter 1"), 0o600)).To(Succeed())
		oneLine(dyschord(quiet("--data-dir="+filepath.Join(file, "data"))...), 1, file, "not a directory")
		oneLine(dyschord(quiet("--data-dir="+dir)...), 1, dir, "thesis.tex")
		content, err := os.ReadFile(file)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(content)).To(Equal("chapter 1"))
	})

	It("is a data directory in use, or of another cluster", func() {
		c := found("chord", 1)
		m := c.members[0]
		Expect(put(m.url, "k", "v")).To(Succeed())
		oneLine(dyschord(quiet("--data-dir="+m.dir)...), 1, m.dir, "in use by another process")
		m.kill()
		oneLine(dyschord(quiet("--data-dir="+m.dir, "--cluster=other")...), 1, `"dyschord"`, `"other"`)
		oneLine(dyschord(quiet("--data-dir="+m.dir, "--slots=64")...), 1, `"256"`, `"64"`)
		m.run()
		c.healthy(1)
		Expect(readUntil(m.url, "k", "v")).To(Succeed())
	})

	It("is another cluster or other settings at the bootstrap peer: refused with both values", func() {
		c := found("chord", 1)
		for flag, both := range map[string][]string{
			"--cluster=other": {"cluster", "dyschord", "other"},
			"--bits=64":       {"bits", "128", "64"},
			"--slots=64":      {"slots", "256", "64"},
			"--hash=trivial":  {"hash", "sha256", "trivial"},
		} {
			oneLine(dyschord(quiet("--data-dir=", "--bootstrap="+c.members[0].peer, flag)...), 1, both...)
		}
	})

	It("is another degree of Koorde's graph: refused with both values", func() {
		c := found("koorde", 1)
		oneLine(dyschord(quiet("--data-dir=", "--bootstrap="+c.members[0].peer, "--algorithm=koorde", "--koorde.degree=2")...), 1,
			"koorde.degree: 2 here, 16 there")
	})

	It("is a node that reaches no bootstrap peer: alive, not ready, says why, and founds nothing", func() {
		nobody := fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", freePorts(1))
		m := newMember("lonely", filepath.Join(GinkgoT().TempDir(), "lonely"), "--bootstrap="+nobody)
		m.run()
		Eventually(func(g Gomega) {
			a, err := get(m.url + "/livez")
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(a.status).To(Equal(200))
			a, err = get(m.url + "/readyz?verbose")
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(a.status).To(Equal(503))
			g.Expect(string(a.body)).To(And(ContainSubstring(nobody), ContainSubstring("refused")))
		}).Should(Succeed())
		s, err := m.status()
		Expect(err).NotTo(HaveOccurred())
		Expect(s.State).To(Equal("joining"))
		Expect(put(m.url, "k", "v")).NotTo(Succeed())
		Expect(m.stop()).To(Equal(0))
	})
})

var _ = onEach("what cannot work", func(algorithm string) {
	It("is an identifier taken twice in a narrow space", func() {
		c := &cluster{settings: settingsOf(algorithm, "--bits=4", "--hash=trivial")}
		m := newMember("three", filepath.Join(GinkgoT().TempDir(), "three"), append(c.settings, "--id=3")...)
		c.members = append(c.members, m)
		m.run()
		c.healthy(1)
		Expect(put(m.url, "19", "v")).To(Succeed())
		oneLine(dyschord(quiet("--data-dir=", "--bits=4", "--hash=trivial", "--id=3", "--algorithm="+algorithm, "--bootstrap="+m.peer)...), 1, "identifier 3", "taken", "--id")
		Expect(readUntil(m.url, "19", "v")).To(Succeed())
	})

	It("is a node of another algorithm: refused with both names, and nothing has changed", func() {
		c := found(algorithm, 1)
		m := c.members[0]
		Expect(put(m.url, "k", "v")).To(Succeed())
		for _, other := range overlays.Names() {
			if other == algorithm {
				continue
			}
			oneLine(dyschord(quiet("--data-dir=", "--bootstrap="+m.peer, "--algorithm="+other)...), 1,
				"algorithm: "+other+" here, "+algorithm+" there")
		}
		m.kill()
		for _, other := range overlays.Names() {
			if other != algorithm {
				oneLine(dyschord(quiet("--data-dir="+m.dir, "--algorithm="+other)...), 1, m.dir, `"`+algorithm+`"`, `"`+other+`"`)
			}
		}
		m.run()
		c.healthy(1)
		Expect(readUntil(m.url, "k", "v")).To(Succeed())
	})
})

var _ = Describe("config print", func() {
	It("shows where a setting came from, in the real binary", func() {
		got := dyschord("config", "print", "--json", "--replicas=5")
		var all []map[string]any
		Expect(json.Unmarshal([]byte(got.stdout), &all)).To(Succeed())
		Expect(all).To(ContainElement(And(HaveKeyWithValue("setting", "replicas"), HaveKeyWithValue("source", "flag"))))
	})
})
