package drill_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// report is the table of all drills of this run; TestMain prints it.
var report table

func TestMain(m *testing.M) {
	if os.Getenv(callerVariable) != "" {
		os.Exit(playHere())
	}
	status := m.Run()
	report.print()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(status)
}

func full() bool { return os.Getenv("SVCAUTH_DRILL") == "1" }

func needFull(t *testing.T) {
	t.Helper()
	if !full() {
		t.Skip("make drill runs it")
	}
}

// row is what came of one fault.
type row struct {
	fault            string
	requests, errors int64
	outage           time.Duration // the longest time in which nobody got a token
	late             time.Duration // how long after its acknowledgement something revoked was last accepted somewhere
	refused          time.Duration // the longest time in which a resource server took no valid token
	back             time.Duration // from the end of the fault until each node called itself ready
	// what was acknowledged between this fault and the next, and how much of it
	// was found afterwards
	acked, kept int
	broken      []string // the invariants that did not hold, in words
}

func (r *row) breaks(format string, args ...any) {
	r.broken = append(r.broken, fmt.Sprintf(format, args...))
}

func (r *row) String() string {
	held := "nothing lost, none late, none refused, in service, at rest"
	if len(r.broken) > 0 {
		held = "BROKEN: " + strings.Join(r.broken, "; ")
	}
	return fmt.Sprintf("%-36s %8d %6d %7.2fs %7.2fs %7.2fs %7.2fs %5d/%-5d %s", r.fault, r.requests, r.errors,
		r.outage.Seconds(), r.late.Seconds(), r.refused.Seconds(),
		r.back.Seconds(), r.kept, r.acked, held)
}

type table struct {
	mu   sync.Mutex
	rows []*row
}

func (t *table) add(rows []*row) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows = append(t.rows, rows...)
}

func (t *table) print() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.rows) == 0 {
		return
	}
	fmt.Println(heading())
	for _, r := range t.rows {
		fmt.Println(r)
	}
}

func heading() string {
	return fmt.Sprintf("\n%-36s %8s %6s %8s %8s %8s %8s %11s %s", "fault", "requests", "errors", "outage", "late",
		"refused", "back", "kept/acked", "invariants held")
}
