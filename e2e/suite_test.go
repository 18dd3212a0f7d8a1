package e2e

import (
	"flag"
	"os"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"

	"dyschord/dht/overlays"
)

var rounds = flag.Int("rounds", 1, "crash rounds to run with each algorithm")

// binary is the program under test, built once.
var binary string

func TestClusters(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(30 * time.Second)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	RunSpecs(t, "clusters")
}

// onEach describes what clusters of every algorithm do.
func onEach(what string, specs func(algorithm string)) bool {
	for _, algorithm := range overlays.Names() {
		Describe(what+" ("+algorithm+")", func() { specs(algorithm) })
	}
	return true
}

var _ = BeforeSuite(func() {
	Expect(os.Setenv("CGO_ENABLED", "0")).To(Succeed())
	var err error
	binary, err = gexec.Build("dyschord/cmd/dyschord")
	Expect(err).NotTo(HaveOccurred())
})

var _ = AfterSuite(gexec.CleanupBuildArtifacts)
