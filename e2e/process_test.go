package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// process is one run of the binary, with its output in a file.
type process struct {
	name string
	log  string // file with what it wrote to stdout and stderr
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// start runs the binary in the background until the test ends.
func start(name string, args ...string) *process {
	GinkgoHelper()
	p := &process{name: name, log: filepath.Join(GinkgoT().TempDir(), "log"), done: make(chan struct{})}
	out, err := os.Create(p.log)
	Expect(err).NotTo(HaveOccurred())
	p.cmd = exec.Command(binary, args...)
	p.cmd.Env, p.cmd.Dir = environment(), filepath.Dir(p.log)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	Expect(p.cmd.Start()).To(Succeed())
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // how it ended is in ProcessState
		out.Close()
	}()
	DeferCleanup(func() {
		if CurrentSpecReport().Failed() {
			AddReportEntry("log of "+name, ReportEntryVisibilityFailureOrVerbose, p.tail(60))
		}
		p.kill()
	})
	return p
}

// environment is ours without what would change the settings of a node.
func environment() []string {
	var env []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "DYSCHORD_") {
			env = append(env, entry)
		}
	}
	return env
}

func (p *process) output() string {
	text, err := os.ReadFile(p.log)
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}

// tail is the end of the output, without what is said of each of many slots.
func (p *process) tail(lines int) string {
	all := slices.DeleteFunc(strings.Split(strings.TrimRight(p.output(), "\n"), "\n"),
		func(line string) bool {
			return strings.Contains(line, "became primary") || strings.Contains(line, "configuration decided")
		})
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// kill ends the process as a power cut would and waits until it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.done
}

// signal sends a signal to the process.
func (p *process) signal(s syscall.Signal) {
	GinkgoHelper()
	Expect(p.cmd.Process.Signal(s)).To(Succeed())
}

// stop asks the process to end and returns its exit code.
func (p *process) stop() int {
	GinkgoHelper()
	Expect(p.cmd.Process.Signal(os.Interrupt)).To(Succeed())
	return p.exit()
}

// exit waits for the end of the process and returns its exit code.
func (p *process) exit() int {
	GinkgoHelper()
	Eventually(p.done, 20*time.Second).Should(BeClosed(), "%s did not end", p.name)
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// outcome is what a command did that ran to its end.
type outcome struct {
	code           int
	stdout, stderr string
}

// dyschord runs the binary to its end.
func dyschord(args ...string) outcome { return dyschordIn("", nil, args...) }

func dyschordIn(dir string, stdin []byte, args ...string) outcome {
	GinkgoHelper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(binary, args...)
	cmd.Env, cmd.Dir = environment(), dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	if dir == "" {
		cmd.Dir = GinkgoT().TempDir()
	}
	Expect(cmd.Start()).To(Succeed())
	timer := time.AfterFunc(3*time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	_ = cmd.Wait() // the exit code says it
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// lastPort is below the ports that systems give to outgoing connections, so that
// nobody takes the port of a node while it is down.
var lastPort atomic.Int64

// freePorts returns n consecutive ports of loopback that nothing listens on.
func freePorts(n int) int {
	GinkgoHelper()
	lastPort.CompareAndSwap(0, int64(12000+os.Getpid()%8000))
	for range 1000 {
		first := int(lastPort.Add(int64(n))) - n
		if first+n > 32000 {
			lastPort.Store(12000)
			continue
		}
		if allFree(first, n) {
			return first
		}
	}
	Fail("no free ports")
	return 0
}

func allFree(first, n int) bool {
	for port := first; port < first+n; port++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}
