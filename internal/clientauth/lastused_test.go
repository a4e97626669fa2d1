package clientauth

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// lastUse returns when the client was last used, as the database has it.
func (g *guesses) lastUse(t *testing.T) time.Time {
	t.Helper()
	account, err := g.db.Read().ServiceAccount(t.Context(), "org_1", g.client)
	require.NoError(t, err)
	if account.LastUsedAt == nil {
		return time.Time{}
	}
	return *account.LastUsedAt
}

// TestAUseIsNotedAgainWhenItHasGrownOld: the first use of each credential is
// noted at once, and another one once the noted one is noteAgainAfter old, by
// whatever snapshot of the client.
func TestAUseIsNotedAgainWhenItHasGrownOld(t *testing.T) {
	g := newGuesses(t)
	second := svcauth.NewSecret()
	require.NoError(t, g.db.Write(t.Context(), func(q *store.Q) error {
		return q.InsertCredential(t.Context(), g.row("sec_2", second))
	}))
	uses := func(secret svcauth.Secret) (noted int) {
		t.Helper()
		_, refusal := g.asks(t, g.client, secret)
		require.Nil(t, refusal)
		noted = len(g.used.used)
		g.used.write(t.Context())
		require.Empty(t, g.used.used)
		return noted
	}
	now := func() time.Time { return time.UnixMilli(time.Unix(0, g.now.Load()).UnixMilli()).UTC() }
	require.Equal(t, 1, uses(g.secret))
	require.Equal(t, now(), g.lastUse(t))
	g.now.Add(int64(time.Second))
	require.Zero(t, uses(g.secret))
	require.Equal(t, 1, uses(second), "each credential has its own")
	require.Zero(t, uses(second))

	client, err := g.clients.Get(t.Context(), g.client)
	require.NoError(t, err)
	g.clients.Reset()
	require.Zero(t, uses(g.secret), "what is read anew knows what was noted")
	fresh, err := g.clients.Get(t.Context(), g.client)
	require.NoError(t, err)
	require.NotSame(t, client, fresh)

	g.now.Add(int64(noteAgainAfter))
	require.Equal(t, 1, uses(g.secret))
	require.Equal(t, 1, uses(second))
	require.Zero(t, uses(second))
	require.Equal(t, now(), g.lastUse(t))
}

// TestAUseThatCouldNotBeWrittenIsWrittenLater, though it is not noted again.
func TestAUseThatCouldNotBeWrittenIsWrittenLater(t *testing.T) {
	g := newGuesses(t)
	_, refusal := g.asks(t, g.client, g.secret)
	require.Nil(t, refusal)
	away, cancel := context.WithCancel(t.Context())
	cancel()
	g.used.write(away)
	require.Zero(t, g.lastUse(t))
	g.used.write(t.Context())
	require.NotZero(t, g.lastUse(t))
}

// TestAUseChangesNothingOfTheClient: what its roles give is kept when it is
// read anew after a use was noted.
func TestAUseChangesNothingOfTheClient(t *testing.T) {
	g := newGuesses(t)
	_, refusal := g.asks(t, g.client, g.secret)
	require.Nil(t, refusal)
	old, err := g.clients.Get(t.Context(), g.client)
	require.NoError(t, err)
	g.used.write(t.Context())
	fresh, err := g.clients.reread(t.Context(), g.client, old.rereadFor)
	require.NoError(t, err)
	require.NotEqual(t, old.Used, fresh.Used)
	require.NotNil(t, fresh.Rights())
}
