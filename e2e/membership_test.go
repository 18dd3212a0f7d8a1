package e2e

import (
	"fmt"
	"sync"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = onEach("nodes that come and go under load", func(algorithm string) {
	It("loses no acknowledged key, and no error lasts", func() {
		c := found(algorithm, 3)
		l := &ledger{}
		stop := make(chan struct{})
		finish := sync.OnceFunc(func() { close(stop) })
		pains := make(chan pain, 1)
		go func() {
			defer GinkgoRecover()
			pains <- writeUntil(stop, c.members[:2], l)
		}()
		defer finish()

		By("two nodes joining")
		c.join()
		c.join()
		c.healthy(5)
		By("one node leaving")
		leave(c.members[2])
		c.healthy(4)
		By("one more joining, one more leaving")
		c.join()
		c.healthy(5)
		leave(c.members[3])
		c.healthy(4)

		finish()
		pain := <-pains
		GinkgoWriter.Printf("%d keys were written; %s\n", l.len(), pain)
		Expect(l.len()).To(BeNumerically(">", 100))
		Expect(pain.failing).To(BeNumerically("<", 10*time.Second))
		readAll(c.urls(), l)
	})

	It("stops writes when one of two nodes is lost, says so, and resumes when it returns", func() {
		c := found(algorithm, 2, impatient)
		Expect(put(c.members[0].url, "before", "1")).To(Succeed())
		c.members[1].kill()
		// A write that was under way when the loss was noticed may have any outcome.
		Eventually(func(g Gomega) {
			refused := dyschord("put", "during", "2", "--gateway="+c.members[0].url)
			g.Expect(refused.code).To(Equal(1), refused.stdout)
			g.Expect(refused.stderr).To(ContainSubstring("majority"))
		}, "60s").Should(Succeed())
		Expect(dyschord("status", "--gateway="+c.members[0].url).code).To(Equal(1))

		c.members[1].run()
		c.healthy(2)
		Expect(put(c.members[0].url, "after", "3")).To(Succeed())
		for _, gateway := range c.urls() {
			Expect(readUntil(gateway, "before", "1")).To(Succeed())
			Expect(readUntil(gateway, "after", "3")).To(Succeed())
		}
	})
})

var _ = onEach("nodes that are paused", func(algorithm string) {
	It("are not counted: no write is acknowledged without a majority", func() {
		c := found(algorithm, 3, impatient)
		const keys = 24 // enough that the node that goes on leads the slots of some
		for _, m := range c.members[1:] {
			m.signal(syscall.SIGSTOP)
		}
		var wg sync.WaitGroup
		acknowledged := make([]bool, keys)
		for i := range keys {
			wg.Go(func() { acknowledged[i] = put(c.members[0].url, fmt.Sprint("paused/", i), "v") == nil })
		}
		wg.Wait()
		for i := range keys {
			Expect(acknowledged[i]).To(BeFalse(), "key %d was acknowledged by one of three", i)
		}
		By("resuming")
		for _, m := range c.members[1:] {
			m.signal(syscall.SIGCONT)
		}
		c.healthy(3)
		By("writing")
		l := &ledger{}
		writeAll("resumed", 100, 4, c.urls(), l)
		readAll(c.urls(), l)
	})
})

// impatient makes nodes say sooner than by default that they have no majority.
const impatient = "--request-timeout=3s"

// leave makes a node leave and waits until its process has ended.
func leave(m *member) {
	GinkgoHelper()
	left := dyschord("leave", "--admin="+m.ctl)
	Expect(left.code).To(Equal(0), left.stderr)
	Expect(m.exit()).To(Equal(0), m.output())
}

// writeUntil writes new keys with four writers until stop is closed.
func writeUntil(stop <-chan struct{}, at []*member, l *ledger) pain {
	GinkgoHelper()
	const writers = 4
	var wg sync.WaitGroup
	all := make([]*writer, writers)
	errs := make([]error, writers)
	for i := range writers {
		all[i] = &writer{ledger: l, patience: 30 * time.Second}
		for _, m := range at {
			all[i].gateways = append(all[i].gateways, m.url)
		}
		wg.Go(func() {
			for k := 0; errs[i] == nil; k++ {
				select {
				case <-stop:
					return
				default:
				}
				key := fmt.Sprintf("load/%d/%d", i, k)
				errs[i] = all[i].write(i, key, "value of "+key)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		Expect(err).NotTo(HaveOccurred())
	}
	return felt(all)
}
