package pgtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ProcessorTime is what all processes of the server have used so far, those
// that have ended included. Linux only.
func (s *Server) ProcessorTime() (total time.Duration) {
	s.t.Helper()
	postmaster := s.running.Process.Pid
	for i, pid := range append([]int{postmaster}, children(postmaster)...) {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has ended meanwhile, and is the postmaster's now
		}
		fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
		last := 13 // user and system time
		if i == 0 {
			last = 15 // and those of children that have ended
		}
		for _, field := range fields[11:last] {
			ticks, _ := strconv.Atoi(field)
			total += time.Duration(ticks) * 10 * time.Millisecond // USER_HZ is 100 on every Linux
		}
	}
	return total
}

// children lists the processes whose parent is pid. PostgreSQL puts each of its
// processes into a session of its own, so a process group does not hold them.
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
