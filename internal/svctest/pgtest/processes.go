package pgtest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/svctest/watchdog"
)

// Processes are the postmaster, which is the first, and its children.
func (s *Server) Processes() []int {
	s.t.Helper()
	postmaster := s.running.Process.Pid
	return append([]int{postmaster}, watchdog.Children(postmaster)...)
}

// ProcessorTime is what all processes of the server have used so far, those
// that have ended included. Linux only.
func (s *Server) ProcessorTime() (total time.Duration) {
	s.t.Helper()
	for i, pid := range s.Processes() {
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
