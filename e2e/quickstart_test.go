package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = onEach("dyschord dev", func(algorithm string) {
	It("stores a real file through one gateway and serves it through the others, byte for byte", func() {
		port := freePorts(5)
		dev := start("dev", "dev", "--algorithm="+algorithm, fmt.Sprintf("--gateway=127.0.0.1:%d", port))
		Eventually(dev.output, "60s").Should(ContainSubstring("Try"))

		file := randomFile(700_000)
		gateway := func(i int) string { return fmt.Sprintf("--gateway=http://127.0.0.1:%d", port+i) }
		stored := dyschord("put", "photo.jpg", "@"+file, "--type=image/jpeg", gateway(0))
		Expect(stored.code).To(Equal(0), stored.stderr)
		want, err := os.ReadFile(file)
		Expect(err).NotTo(HaveOccurred())
		for i := 1; i < 5; i++ {
			got := dyschord("get", "photo.jpg", gateway(i))
			Expect(got.code).To(Equal(0), got.stderr)
			Expect(got.stdout == string(want)).To(BeTrue(), "gateway %d gave %d bytes that differ", i, len(got.stdout))
			a, err := get(keyURL(fmt.Sprintf("http://127.0.0.1:%d", port+i), "photo.jpg"))
			Expect(err).NotTo(HaveOccurred())
			Expect(a.header.Get("Content-Type")).To(Equal("image/jpeg"))
		}
		Expect(dev.stop()).To(Equal(0), dev.output())
	})

	It("finds its data again in its directory, even after SIGKILL", func() {
		dir := filepath.Join(GinkgoT().TempDir(), "data")
		port := freePorts(3)
		gateway := fmt.Sprintf("127.0.0.1:%d", port)
		run := func() *process {
			dev := start("dev", "dev", "--algorithm="+algorithm, "--nodes=3", "--gateway="+gateway, "--data-dir="+dir)
			Eventually(dev.output, "60s").Should(ContainSubstring("Try"))
			return dev
		}
		first := run()
		Expect(dyschord("put", "greeting", "hello", "--gateway=http://"+gateway).code).To(Equal(0))
		first.kill()
		second := run()
		Expect(dyschord("get", "greeting", "--gateway=http://"+gateway).stdout).To(Equal("hello"))
		Expect(second.stop()).To(Equal(0), second.output())
	})
})

var _ = Describe("dyschord dev", func() {
	It("names an occupied port and what to do", func() {
		port := freePorts(5)
		start("dev", "dev", fmt.Sprintf("--gateway=127.0.0.1:%d", port+2), "--nodes=1")
		Eventually(func() bool { return allFree(port+2, 1) }).Should(BeFalse())
		got := dyschord("dev", fmt.Sprintf("--gateway=127.0.0.1:%d", port))
		Expect(got.code).To(Equal(1))
		Expect(got.stderr).To(And(ContainSubstring(fmt.Sprintf("127.0.0.1:%d", port+2)), ContainSubstring("--gateway"), HaveSuffix("\n")))
		Expect(got.stderr).To(HaveLen(len(got.stderr)), "one line")
	})
})

func randomFile(size int) string {
	GinkgoHelper()
	content := make([]byte, size)
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(content) // never fails
	name := filepath.Join(GinkgoT().TempDir(), "file")
	Expect(os.WriteFile(name, content, 0o600)).To(Succeed())
	return name
}
