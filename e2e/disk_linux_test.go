package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

var _ = onEach("a full disk", func(algorithm string) {
	It("refuses writes, says so, and loses nothing", func() {
		dir := filepath.Join(GinkgoT().TempDir(), "small")
		Expect(os.MkdirAll(dir, 0o700)).To(Succeed())
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=96m"); err != nil {
			Skip("needs root, to mount a small tmpfs: " + err.Error())
		}
		DeferCleanup(func() { Expect(unix.Unmount(dir, unix.MNT_DETACH)).To(Succeed()) })
		m := newMember("small", filepath.Join(dir, "data"), settingsOf(algorithm)...)
		m.run()
		c := &cluster{members: []*member{m}}
		c.healthy(1)
		l := &ledger{}
		full := fillDisk(m, l)
		Expect(full.status).To(Equal(507), string(full.body))
		Expect(full.problem().Outcome).To(Equal("not_applied"))
		readAll(c.urls(), l)
		m.kill()
		m.run()
		c.healthy(1)
		readAll(c.urls(), l)
	})
})

// fillDisk writes big values until one is refused, and returns the refusal. They are
// random, since the store compresses what repeats.
func fillDisk(m *member, l *ledger) answer {
	GinkgoHelper()
	for i := range 400 {
		key := fmt.Sprintf("big/%d", i)
		value := make([]byte, 512<<10)
		_, _ = rand.NewChaCha8([32]byte{byte(i), byte(i >> 8)}).Read(value)
		a, err := send("PUT", keyURL(m.url, key), value)
		Expect(err).NotTo(HaveOccurred())
		if a.status >= 300 {
			return a
		}
		l.add(key, string(value))
	}
	Fail("the disk did not fill up")
	return answer{}
}
