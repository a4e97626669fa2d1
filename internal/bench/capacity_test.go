package bench_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkCapacity measures what one node costs with few and many service
// accounts and live revocations: processor time a token and memory, as ratios
// to a node with 1,000 accounts and no revocation that runs beside it and is
// asked in turn. And it prints what deploy/docs/sizing.md reckons with. Whole
// processes, PostgreSQL that waits for its disk, Redis.
//
//	SVCAUTH_TEST_SERVICES=1 BENCH_SCALE=1000000 \
//	    go test -run '^$' -bench Capacity -benchtime 1x -timeout 60m -v \
//	    ./internal/bench/
func BenchmarkCapacity(b *testing.B) {
	most := scale(b)
	middle := min(most, 100_000)
	cases := []struct{ accounts, revocations int }{{fewAccounts, 0}, {middle, 0}, {fewAccounts, middle}}
	if most > middle {
		cases = append(cases, []struct{ accounts, revocations int }{{most, 0}, {fewAccounts, most}, {most, most}}...)
	}
	m := newMachinery(b)
	few := m.start(b, fewAccounts, 0)
	var table strings.Builder
	for b.Loop() {
		bare := startProcess(b, "bare", fmt.Sprint("BENCH_SIZE=", few.wire(b).body))
		bareRequest := func(int64) []byte { return few.warm[0] }
		f := m.measure(b, few.node, bare, few.workingSet, bareRequest)
		fmt.Fprintf(&table, "a node with %d accounts, in turn with the bare handler: "+
			"%.2f times its processor time a token; %s\n\n", fewAccounts, f.ratio(), f)
		fmt.Fprintf(&table, "%9s %11s | %8s %8s | %14s %14s | %14s %8s\n", "accounts", "revocations", "warm",
			"random", "rests at", "live heap", "under load", "start")
		for i, c := range cases {
			n := few
			if i > 0 {
				n = m.start(b, c.accounts, c.revocations)
			}
			if c.accounts > fewAccounts && c.revocations == 0 {
				n.remember(b)
			}
			warm := m.measure(b, n.node, few.node, n.workingSet, few.workingSet)
			random := m.measure(b, n.node, few.node, n.anyone, few.workingSet)
			loaded := n.node.memory(b, "VmRSS")
			fmt.Fprintf(&table,
				"%9d %11d | %7.2fx %7.2fx | %4.0f MB %5.2fx %4.0f MB %5.2fx | %4.0f MB %5.2fx %6.2f s\n", c.accounts,
				c.revocations, warm.ratio(), random.ratio(),
				n.rest/1e6, n.rest/few.rest, n.heap/1e6, n.heap/few.heap, loaded/1e6, loaded/few.rest,
				n.startedIn.Seconds())
			b.Logf("%d accounts, %d revocations: warm %s; random %s; at most %.0f MB while it started", c.accounts,
				c.revocations, warm, random,
				n.peak/1e6)
			m.sizes(b, n)
			if i > 0 {
				n.node.end()
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	b.Log("\n" + table.String())
}

// scale is how many accounts the large case has: 100,000, or what
// BENCH_SCALE says.
func scale(b *testing.B) int {
	b.Helper()
	text := os.Getenv(scaleVariable)
	if text == "" {
		return 100_000
	}
	many, err := strconv.Atoi(text)
	require.NoError(b, err)
	return many
}
