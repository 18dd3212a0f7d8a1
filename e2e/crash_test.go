package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = onEach("a cluster of five whose nodes are killed", func(algorithm string) {
	It("keeps every acknowledged key", func() {
		for round := 1; round <= *rounds; round++ {
			By(fmt.Sprintf("round %d of %d", round, *rounds))
			crashRound(algorithm, round)
		}
	})
})

const crashKeys = 2000

func crashRound(algorithm string, round int) {
	c := found(algorithm, 5)
	l := &ledger{}

	victim := c.members[rand.IntN(5)]
	after := 100 + rand.IntN(crashKeys-200)
	GinkgoWriter.Printf("round %d: %s is killed after %d writes\n", round, victim.name, after)
	pain := writeWhile(c, l, func() {
		Eventually(l.len).Should(BeNumerically(">=", after))
		victim.kill()
	})
	GinkgoWriter.Printf("round %d: %s\n", round, pain)
	Expect(l.len()).To(Equal(crashKeys))
	readAll(c.urls(), l)

	By("killing a second once the cluster says that it is repaired")
	c.healthy(4)
	second := c.live()[rand.IntN(4)]
	GinkgoWriter.Printf("round %d: %s is killed too\n", round, second.name)
	second.kill()
	readAll(c.urls(), l)

	By("killing all at once and starting all again")
	var wg sync.WaitGroup
	for _, m := range c.live() {
		wg.Go(m.kill)
	}
	wg.Wait()
	for _, m := range slices.Backward(c.members) {
		m.run()
	}
	c.healthy(5)
	readAll(c.urls(), l)
	for _, m := range c.members {
		m.kill()
	}
}

// writeWhile writes crashKeys keys through all gateways while f runs.
func writeWhile(c *cluster, l *ledger, f func()) pain {
	GinkgoHelper()
	done := make(chan struct{})
	go func() {
		defer GinkgoRecover()
		defer close(done)
		f()
	}()
	defer func() { <-done }()
	return writeAll("crash", crashKeys, 10, c.urls(), l)
}
