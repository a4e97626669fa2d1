package drill_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
)

// Nodes that start at one moment, as a deployment starts them, on a database in
// which there is nothing and with no master key yet: one brings the schema, one
// makes the first administrator and prints it, as it was asked to, and all come
// into service at their first start.
func TestNodesStartAtOnceOnNothing(t *testing.T) {
	database := pgtest.Start(t, pgtest.Config{}).NewDatabase()
	environ := []string{"SVCAUTH_DATABASE_URL=" + database, "SVCAUTH_REDIS_URL=" + redistest.URL(t),
		"SVCAUTH_MASTER_KEY_FILE=" + filepath.Join(t.TempDir(), "master.key"),
		"SVCAUTH_ISSUER=http://" + freeport.Address(t)}
	var nodes []*node
	for range 4 {
		n := newNode(t, environ...)
		n.flags = []string{"--print-credentials"}
		nodes = append(nodes, n)
	}
	for _, n := range nodes {
		n.start()
	}
	var printed int
	for _, n := range nodes {
		n.awaitReady()
		text, err := os.ReadFile(n.log)
		require.NoError(t, err)
		printed += strings.Count(string(text), "client secret")
	}
	require.Equal(t, 1, printed, "nodes that printed an administrator")
	for _, n := range nodes {
		n.stop()
	}
}
