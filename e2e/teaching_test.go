package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("docs/teaching.md", func() {
	It("shows what its commands do", func() {
		steps := consoleSteps("../docs/teaching.md")
		Expect(len(steps)).To(BeNumerically(">=", 10))
		ports := map[string]string{}
		for _, s := range steps {
			command := freshPorts(s.command, ports)
			if strings.HasSuffix(command, "&") {
				shellInBackground(strings.TrimSuffix(command, "&"))
				continue
			}
			By(command)
			Eventually(func() string { return shell(command) }, "90s").Should(MatchRegexp(pattern(s.output)))
		}
	})
})

// step is a command in a document, with the output shown below it.
type step struct{ command, output string }

// consoleSteps reads the ```console blocks of a document: lines that begin with "$ "
// are commands, and what follows each is what it prints.
func consoleSteps(path string) []step {
	GinkgoHelper()
	text, err := os.ReadFile(path)
	Expect(err).NotTo(HaveOccurred())
	var steps []step
	inside := false
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console"
		case inside && isCommand:
			steps = append(steps, step{command: command})
		case inside:
			steps[len(steps)-1].output += line + "\n"
		}
	}
	return steps
}

var portInText = regexp.MustCompile(`\b(4[01]\d\d|8[01]\d\d)\b`)

// freshPorts replaces each port of the document by one that is free here.
func freshPorts(command string, ports map[string]string) string {
	return portInText.ReplaceAllStringFunc(command, func(port string) string {
		if ports[port] == "" {
			ports[port] = fmt.Sprint(freePorts(16)) // a cluster in one process takes those that follow too
		}
		return ports[port]
	})
}

// pattern matches an output in which "…" stands for anything.
func pattern(output string) string {
	return `^` + strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(output)), "…", `(?s:.*)`) + `$`
}

func shellCommand(line string) *exec.Cmd {
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = GinkgoT().TempDir()
	cmd.Env = append(environment(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// shell runs a line to its end and returns what it printed.
func shell(line string) string {
	out, _ := shellCommand(line).CombinedOutput() // a failure shows in the output
	return strings.TrimSpace(string(out))
}

func shellInBackground(line string) {
	GinkgoHelper()
	cmd := shellCommand("exec " + line)
	cmd.Stdout, cmd.Stderr = GinkgoWriter, GinkgoWriter
	Expect(cmd.Start()).To(Succeed())
	DeferCleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it may have ended
		_ = cmd.Wait()                                      // it was killed
	})
}
