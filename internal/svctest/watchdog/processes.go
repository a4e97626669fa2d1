package watchdog

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Children lists the processes whose parent is pid. Servers such as PostgreSQL
// put each of their processes into a session of its own, so a process group
// does not hold them.
func Children(pid int) []int {
	var out []int
	for _, entry := range processes() {
		if entry.parent == pid {
			out = append(out, entry.pid)
		}
	}
	return out
}

// AnyAlive reports whether one of the processes is there and has not ended.
func AnyAlive(pids []int) bool {
	return slices.ContainsFunc(processes(), func(p process) bool { return slices.Contains(pids, p.pid) })
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
