package pgtest

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// watchdog is a shell that outlives this process: when its standard input ends, which no way of dying can prevent, it kills the processes that it was last told of
// and removes the cluster.
type watchdog struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

const watchdogScript = `pids=; while read -r line; do pids=$line; done; [ -z "$pids" ] || kill -KILL $pids; i=0
while ! rm -rf -- "$1" && [ $i -lt 50 ]; do i=$((i+1)); sleep 0.1; done`

func startWatchdog(dir string) (*watchdog, error) {
	cmd := exec.Command("/bin/sh", "-c", watchdogScript, "pgtest-watchdog", dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an interrupt at the terminal must not end it first
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	return &watchdog{cmd, in}, nil
}

// watch says which processes must not outlive this one.
func (w *watchdog) watch(pids ...int) {
	line := strings.Trim(fmt.Sprint(pids), "[]") + "\n"
	_, _ = io.WriteString(w.in, line) // if it is gone, nobody can be told
}

// end has everything killed and removed, and returns when that is done.
func (w *watchdog) end() {
	_ = w.in.Close()
	_ = w.cmd.Wait()
}

// children lists the processes whose parent is pid. PostgreSQL puts each of its processes into a session of its own, so a process group does not hold them.
func children(pid int) []int {
	var out []int
	for _, entry := range processes() {
		if entry.parent == pid {
			out = append(out, entry.pid)
		}
	}
	return out
}

type process struct{ pid, parent int }

func processes() (out []process) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		// "pid (name) state parent …"; the name may hold spaces and brackets.
		text := string(raw)
		fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
		if len(fields) > 2 && fields[0] != "Z" {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			parent, _ := strconv.Atoi(fields[1])
			out = append(out, process{pid, parent})
		}
	}
	if len(files) > 0 {
		return out
	}
	listing, _ := exec.Command("ps", "-axo", "pid=,ppid=").Output() // no /proc: not Linux
	for line := range strings.Lines(string(listing)) {
		var p process
		if n, _ := fmt.Sscan(line, &p.pid, &p.parent); n == 2 {
			out = append(out, p)
		}
	}
	return out
}
