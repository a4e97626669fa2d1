// Package watchdog ends the servers that a test has started, however the test's
// process dies, and removes their directory.
package watchdog

import (
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
)

// Watchdog is a shell that outlives this process: when its standard input ends,
// which no way of dying can prevent, it kills the processes that it was last
// told of and removes the directory.
type Watchdog struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

const script = `pids=; while read -r line; do pids=$line; done; [ -z "$pids" ] || kill -KILL $pids; i=0
while ! rm -rf -- "$1" && [ $i -lt 50 ]; do i=$((i+1)); sleep 0.1; done`

// Start starts one for a directory.
func Start(dir string) (*Watchdog, error) {
	cmd := exec.Command("/bin/sh", "-c", script, "svctest-watchdog", dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an interrupt at the terminal must not end it first
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	return &Watchdog{cmd, in}, nil
}

// Watch says which processes must not outlive this one, instead of those said
// before.
func (w *Watchdog) Watch(pids ...int) {
	line := strings.Trim(fmt.Sprint(pids), "[]") + "\n"
	_, _ = io.WriteString(w.in, line) // if it is gone, nobody can be told
}

// End has everything killed and removed, and returns when that is done.
func (w *Watchdog) End() {
	_ = w.in.Close()
	_ = w.cmd.Wait()
}
