package drill_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// What an operator does on purpose may be felt by nobody.

// A revoked key takes the tokens that it signed along, and no other. That a
// retired one or the one that signs is revoked makes no difference.
func TestSigningKeys(t *testing.T) {
	needFull(t)
	s := newStack(t, 2, pgtest.URL(t), redistest.URL(t), manyWrong)
	before := s.rest()
	l := newLoad(s)
	drillUnder(s, l, before, []fault{
		{name: "signing keys: rotated twice", held: 3 * time.Second, begin: l.rotate, end: l.rotate, late: withRedis},
		{name: "signing keys: a retired one revoked", held: 3 * time.Second, begin: func() {
			old := l.newestTokens(svcauth.KeyActive)
			l.rotate()
			time.Sleep(time.Second)
			l.withdraw(old)
		}, end: nothing, late: withRedis},
		{name: "signing keys: the active one revoked", held: 3 * time.Second,
			begin: func() { l.withdraw(l.newestTokens(svcauth.KeyActive)) }, end: nothing, late: withRedis},
	})
}

func (l *load) rotate() {
	l.t.Helper()
	_, err := l.admin.RotateSigningKeys(l.t.Context(), svcauth.KeyRotation{})
	require.NoError(l.t, err)
}

// signed is a key and tokens that it has signed.
type signed struct {
	kid    string
	tokens []string
}

func (l *load) newestTokens(state string) (s signed) {
	l.t.Helper()
	keys, err := l.admin.SigningKeys(l.t.Context())
	require.NoError(l.t, err)
	for _, key := range keys.Items {
		if key.State == state {
			s.kid = key.KID
		}
	}
	require.Eventually(l.t, func() bool { // it may have become active a moment ago
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, text := range l.recent {
			if parts(text).kid == s.kid {
				s.tokens = append(s.tokens, text)
			}
		}
		return len(s.tokens) > 0
	}, recovered, 100*time.Millisecond, "no client has a token of the %s key", state)
	return s
}

// withdraw revokes a key: what it signed is dead when that is acknowledged, and
// may be refused from when it is asked for.
func (l *load) withdraw(s signed) {
	l.t.Helper()
	l.mu.Lock()
	before := l.excused
	l.excused = func(p tokenParts) bool { return p.kid == s.kid || before(p) }
	l.mu.Unlock()
	_, err := l.admin.RevokeSigningKey(l.t.Context(), s.kid)
	require.NoError(l.t, err)
	l.died(l.phase.Load(), s.tokens...)
}

// Two nodes are replaced one after the other by the next release, which brings
// a migration of its own: the schema moves on, and the old node works beside
// it.
func TestRollingUpgrade(t *testing.T) {
	needFull(t)
	next := nextRelease(t)
	postgres := pgtest.Start(t, pgtest.Config{})
	s := newStack(t, 2, postgres.NewDatabase(), redistest.URL(t), manyWrong)
	migrated := func() string {
		out, err := postgres.Query("db1",
			"SELECT COUNT(*) FROM information_schema.columns WHERE table_name = 'client' AND column_name = "+
				"'next_release'")
		require.NoError(t, err)
		return out
	}
	upgrade := func(n *node) {
		n.stop()
		n.path = next
		n.start()
		n.awaitReady()
	}
	require.Equal(t, "0", migrated())
	drill(s, fault{name: "rolling upgrade with a migration", held: 5 * time.Second, late: cutOff, begin: func() {
		upgrade(s.nodes[0])
		require.Equal(t, "1", migrated(), "the next release has brought its schema, and the old node lives beside it")
	}, end: func() { upgrade(s.nodes[1]) }})
}

// nextRelease builds the program once more as another version, with one
// migration more.
func nextRelease(t testing.TB) string {
	t.Helper()
	root, err := moduleRoot()
	require.NoError(t, err)
	path, err := buildOnce("svcauth-next", func(dir string) (map[string]string, error) {
		file := filepath.Join(dir, "next.sql")
		text := "-- +goose Up\nALTER TABLE client ADD COLUMN next_release TEXT NOT NULL DEFAULT '';\n" +
			"CREATE INDEX client_next_release ON client (next_release);\n"
		return map[string]string{filepath.Join(root,
			"internal/store/migrations/09999_next_release.sql"): file}, os.WriteFile(file, []byte(text), 0o644)
	}, "-ldflags", "-X main.version=next")
	require.NoError(t, err)
	out, err := exec.Command(path, "version").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "svcauth next ")
	return path
}
