package bench_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sizes prints what deploy/docs/sizing.md reckons with, each where it shows
// best: bytes on disk, in memory and on the wire, and what the work beside the
// requests costs.
func (m *machinery) sizes(b *testing.B, n *settled) {
	b.Helper()
	total := func(table string) float64 {
		return m.number(b, n.database, fmt.Sprintf(`SELECT pg_total_relation_size('%s')`, table))
	}
	switch few := n.accounts[0] == m.filled[fewAccounts].accounts[0]; {
	case few && n.revocations == 0:
		w := n.wire(b)
		b.Logf("wire: a token request has %d bytes, its answer %d, of which %d are its body", w.request, w.answer,
			w.body)
		m.records(b, n, "1,000 accounts", n.workingSet)
		m.steady(b, n, "1,000 accounts", n.workingSet)
		n.logLines(b)
	case few:
		b.Logf("PostgreSQL: %.0f bytes a live revocation", total("change")/float64(n.revocations))
		n.snapshot(b)
	case n.revocations == 0:
		each := func(tables ...string) (sum float64) {
			for _, table := range tables {
				sum += m.number(b, nameOf(n.url),
					fmt.Sprintf(`SELECT pg_total_relation_size('%s')`, table)) / float64(len(n.accounts))
			}
			return sum
		}
		b.Logf("PostgreSQL, indexes included: %.0f bytes a service account, %.0f a secret, %.0f a grant, "+
			"%.0f an audit event", each("client"), each("secret"), each("role_grant"), each("audit_event"))
		m.records(b, n, fmt.Sprint(len(n.accounts), " accounts in random order"), n.anyone)
		m.steady(b, n, fmt.Sprint(len(n.accounts), " accounts, each time another one"),
			func(i int64) []byte { return n.request((int(i) + len(n.accounts)/2) % len(n.accounts)) })
	}
}

type wire struct{ request, answer, body int }

// wire counts the bytes of one token request and its answer, headers included.
func (n *settled) wire(b *testing.B) wire {
	b.Helper()
	request := n.request(0)
	conn, err := net.Dial("tcp", n.node.Addr)
	require.NoError(b, err)
	defer conn.Close()
	_, err = conn.Write(request)
	require.NoError(b, err)
	var all bytes.Buffer
	resp, err := http.ReadResponse(bufio.NewReader(io.TeeReader(conn, &all)), nil)
	require.NoError(b, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(b, err)
	require.Equal(b, http.StatusOK, resp.StatusCode, "%s", body)
	return wire{len(request), all.Len(), len(body)}
}

// records measures what Redis does for a token: its record in memory, commands,
// bytes on the wire.
func (m *machinery) records(b *testing.B, n *settled, who string, next func(int64) []byte) {
	b.Helper()
	m.redis.Flush()
	time.Sleep(time.Second) // the nodes say who they are again
	read := func() (all [4]float64) {
		for i, of := range [][2]string{{"memory", "used_memory"}, {"stats", "total_commands_processed"},
			{"stats", "total_net_input_bytes"}, {"stats", "total_net_output_bytes"}} {
			all[i] = m.info(b, of[0], of[1])
		}
		return all
	}
	before := read()
	answered := float64(load(b, n.node.Addr, 2*window, next, nil))
	time.Sleep(time.Second) // what is queued gets there
	after := read()
	for i := range after {
		after[i] = (after[i] - before[i]) / answered
	}
	b.Logf("Redis, %s: a token takes %.0f bytes of memory, %.2f commands, "+
		"%.0f bytes to Redis and %.0f back (%.0f tokens)", who, after[0], after[1], after[2], after[3], answered)
}

func (n *settled) logLines(b *testing.B) {
	b.Helper()
	text, err := os.ReadFile(n.log)
	require.NoError(b, err)
	lines := bytes.Count(text, []byte("\n"))
	b.Logf("log: %d bytes a line (%d lines)", len(text)/max(1, lines), lines)
}

// steady prints what [machinery.whole] measures.
func (m *machinery) steady(b *testing.B, n *settled, who string, next func(int64) []byte) {
	b.Helper()
	written := func() float64 { return m.number(b, n.database, `SELECT pg_current_wal_lsn() - '0/0'`) }
	wal := written()
	c := m.whole(b, n.node, next)
	b.Logf("%s, all that follows included: %s; %.0f bytes of PostgreSQL's log", who, c,
		(written()-wal)/float64(c.tokens))
}

// remember has up to 100,000 clients ask once, as many as a node keeps, and
// says what each of them takes.
func (n *settled) remember(b *testing.B) {
	b.Helper()
	before, count := n.liveHeap(b), int64(min(len(n.accounts), 100_000))
	load(b, n.node.Addr, 5*time.Minute, func(i int64) []byte {
		if i >= count {
			return nil
		}
		return n.request(int(i))
	}, nil)
	time.Sleep(17 * time.Second) // until their use is noted
	b.Logf("a node keeps %.0f bytes a client in memory (%d of them)", (n.liveHeap(b)-before)/float64(count), count)
}

// snapshot measures what a resource server gets that follows the feed anew.
func (n *settled) snapshot(b *testing.B) {
	b.Helper()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	load(b, n.node.Addr, time.Minute, func(i int64) []byte {
		if i > 0 {
			return nil
		}
		return n.request(0)
	}, func(body []byte) { require.NoError(b, json.Unmarshal(body, &answer)) })
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+n.node.Addr+"/oauth2/revocations",
		nil)
	require.NoError(b, err)
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Authorization", "Bearer "+answer.AccessToken)
	cpu, began := n.node.cpu(b), time.Now()
	resp, err := http.DefaultClient.Do(req)
	require.NoError(b, err)
	defer resp.Body.Close()
	require.Equal(b, http.StatusOK, resp.StatusCode)
	in, size := bufio.NewReader(resp.Body), 0
	for {
		line, err := in.ReadBytes('\n')
		require.NoError(b, err)
		size += len(line)
		if bytes.HasPrefix(line, []byte(": heartbeat")) { // the snapshot is complete
			break
		}
	}
	took, spent := time.Since(began), n.node.cpu(b)-cpu
	b.Logf("feed: a snapshot of %d revocations has %.1f MB (%d bytes each), "+
		"took %.2f s and %.2f s of the node's processor; at most %.0f MB while the node lived",
		n.revocations, float64(size)/1e6, size/n.revocations, took.Seconds(), spent.Seconds(), n.node.memory(b,
			"VmHWM")/1e6)
}
