package cache

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/redistest"
)

// documentedRule returns the rule that config/svcauth.yaml names for svcauth's
// user, what a Cluster needs beside, and the rule of its user at Sentinels.
func documentedRule(t *testing.T) (rule, cluster, sentinels []string) {
	t.Helper()
	raw, err := os.ReadFile("../../config/svcauth.yaml")
	require.NoError(t, err)
	found := regexp.MustCompile(`(?m)^  #   user svcauth on >PASSWORD (.*)\n  #     (.*)\n(?:  # Redis Cluster needs these too: (.*)$)?`).FindAllStringSubmatch(string(raw), -1)
	require.Len(t, found, 2, "the rules are not where this test looks for them")
	return strings.Fields(found[0][1] + " " + found[0][2]), strings.Fields(found[0][3]), strings.Fields(found[1][1] +
		" " + found[1][2])
}

func allow(nodes []*redistest.Server, rule []string) {
	for _, node := range nodes {
		node.Must(append([]string{"ACL", "SETUSER", "svcauth", "reset", "on", ">pw"}, rule...)...)
	}
}

// walk does all that a node does in Redis.
func walk(t *testing.T, b backend) {
	t.Helper()
	c := b.node(t, Config{Prefix: "svcauth:"})
	heard := listen(t, c, ChannelChanges)
	now := time.Now().Truncate(time.Millisecond)
	for i := range 20 {
		client := "sa_" + strconv.Itoa(i)
		c.RecordToken(t.Context(), record(client, "j_"+client, now, time.Hour))
		c.Fail(client, addr("192.0.2.1"), 1)
		listed(t, c, client, "j_"+client)
		c.MarkRevoked("j_"+client, now.Add(time.Hour))
		listed(t, c, client)
	}
	eventually(t, func() bool {
		return c.Publish(t.Context(), ChannelChanges, []byte("x")) == nil && heard.all() != ""
	}, "the notification to arrive")
	time.Sleep(pingAfter + 2*probeEvery) // the subscription is pinged, and counters are read back
	require.Empty(t, c.Failing(t.Context()))
	for _, node := range b.nodes {
		require.Empty(t, node.Must("ACL", "LOG"), "Redis has refused something")
	}
}

// TestDocumentedACLIsEnough runs a node under the very rule that the sample
// configuration names; and without any one command of it something is refused.
func TestDocumentedACLIsEnough(t *testing.T) {
	rule, more, sentinels := documentedRule(t)
	t.Run("alone", func(t *testing.T) {
		s := redistest.Start(t)
		nodes := []*redistest.Server{s}
		allow(nodes, rule)
		b := backend{url: strings.TrimSuffix(s.UserURL("svcauth", "pw"), "0") + "1", nodes: nodes}
		walk(t, b)
		for _, command := range rule {
			if !strings.HasPrefix(command, "+") {
				continue
			}
			less := append(append([]string{}, rule...), "-"+command[1:])
			if command == "+ping" {
				less = append(less, "-publish") // asked for only in silence
			}
			allow(nodes, less)
			c := b.node(t, Config{Prefix: "svcauth:"})
			go func() { _ = c.Subscribe(t.Context(), ChannelChanges, func([]byte) {}, func() {}) }()
			eventually(t, func() bool { return strings.Contains(s.Must("ACL", "LOG"), "\n"+command[1:]+"\n") },
				"a refusal without "+command)
			s.Must("ACL", "LOG", "RESET")
		}
	})
	t.Run("sentinel", func(t *testing.T) {
		s := redistest.StartSentinel(t)
		servers := append([]*redistest.Server{s.Master, s.Replica}, s.Sentinels...)
		allow(servers[:2], rule)
		allow(s.Sentinels, sentinels)
		walk(t, backend{url: s.UserURL("svcauth", "pw"), nodes: servers})
		for _, command := range sentinels {
			if !strings.HasPrefix(command, "+") && !strings.HasPrefix(command, "&") {
				continue
			}
			less := append(append([]string{}, sentinels...), "-"+command[1:])
			if command[0] == '&' {
				less = slices.DeleteFunc(slices.Clone(sentinels), func(word string) bool { return word == command })
			}
			allow(s.Sentinels, less)
			c := backend{url: s.UserURL("svcauth", "pw")}.node(t, Config{Prefix: "svcauth:"})
			go func() { _ = c.Subscribe(t.Context(), ChannelChanges, func([]byte) {}, func() {}) }()
			eventually(t, func() bool {
				return slices.ContainsFunc(s.Sentinels, func(one *redistest.Server) bool {
					return strings.Contains(one.Must("ACL", "LOG"), "\n"+command[1:]+"\n")
				})
			}, "a refusal without "+command)
			for _, one := range s.Sentinels {
				one.Must("ACL", "LOG", "RESET")
			}
		}
	})
	t.Run("cluster", func(t *testing.T) {
		cl := redistest.StartCluster(t)
		allow(cl.Nodes, append(append([]string{}, rule...), more...))
		walk(t, backend{url: cl.UserURL("svcauth", "pw"), nodes: cl.Nodes})
	})
}
