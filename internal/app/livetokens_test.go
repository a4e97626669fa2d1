package app_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// listed returns how many live tokens a node shows of an account, and whether
// it says that there may be more.
func listed(t *testing.T, n *svctest.Server, account svcauth.ServiceAccount) (shown int, partial bool) {
	t.Helper()
	list, err := n.Admin().Tokens(t.Context(), account.ID, svcauth.ListOptions{})
	require.NoError(t, err)
	return len(list.Items), list.Partial
}

// Without Redis a restart forgets who has which token. Until the longest that a
// token may live has passed, whatever server and account say now, lists of
// accounts from before say that there may be more.
func TestListsOfTokensAfterARestartMayLackSome(t *testing.T) {
	var ahead atomic.Int64
	s := svctest.New(t, svctest.Options{Clock: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	account := s.Account("ci", "clusters:view")
	long := svcauth.MaxTokenTTLSeconds
	_, err := s.Admin().UpdateServiceAccount(t.Context(), account.ID, 0,
		svcauth.ServiceAccountPatch{TokenTTLSeconds: &long}, 0)
	require.NoError(t, err)
	token := s.Token(account.ClientID, account.ClientSecret, "")
	shown, partial := listed(t, s, account)
	require.Equal(t, 1, shown)
	require.False(t, partial)

	s.Stop()
	s.Start()
	fresh := s.Account("fresh", "clusters:view")
	for _, hours := range []int{0, 2, 23} {
		ahead.Store(int64(time.Duration(hours) * time.Hour))
		shown, partial = listed(t, s, account)
		require.Zero(t, shown)
		require.True(t, partial, "after %d hours", hours)
		require.True(t, s.Active(account.ClientID, account.ClientSecret, token), "after %d hours", hours)
		_, partial = listed(t, s, fresh)
		require.False(t, partial, "it had no token before")
	}
	ahead.Store(int64(25 * time.Hour))
	_, partial = listed(t, s, account)
	require.False(t, partial, "none of before can live")
}

// Without Redis a node knows only of the tokens that it issued itself. If there
// may be others, as there may on PostgreSQL, its lists say that they may lack
// some.
func TestListsOfTokensOfSeveralNodesWithoutRedis(t *testing.T) {
	one := svctest.New(t, svctest.Options{Postgres: true})
	two := one.Node()
	account := one.Account("ci", "clusters:view")
	two.Token(account.ClientID, account.ClientSecret, "")
	shown, partial := listed(t, one, account)
	require.Zero(t, shown)
	require.True(t, partial)
	shown, _ = listed(t, two, account)
	require.Equal(t, 1, shown)
}

// Redis remembers what a node knew before it was started again.
func TestListsOfTokensInRedisOutliveTheNode(t *testing.T) {
	s := svctest.New(t, svctest.Options{Redis: true})
	account := s.Account("ci", "clusters:view")
	s.Token(account.ClientID, account.ClientSecret, "")
	s.Stop()
	s.Start()
	require.Eventually(t, func() bool {
		shown, partial := listed(t, s, account)
		return shown == 1 && !partial
	}, time.Minute, 50*time.Millisecond)
}

// TestListsOfTokensSayWhatAnEndedNodeHeld has a node end while it holds records
// that Redis has refused. Until those tokens have expired all lists say that
// there may be more: of the other node, of that one when it is back, of others.
func TestListsOfTokensSayWhatAnEndedNodeHeld(t *testing.T) {
	for name, redis := range map[string]struct{ refuses, takes [][]string }{
		"a full memory": {[][]string{{"CONFIG", "SET", "maxmemory-policy", "noeviction"},
			{"CONFIG", "SET", "maxmemory", "1mb"}},
			[][]string{{"CONFIG", "SET", "maxmemory", "0"}}},
		"a rule": {[][]string{{"ACL", "SETUSER", "default", "-set", "-zadd"}},
			[][]string{{"ACL", "SETUSER", "default", "+set", "+zadd"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			do := func(commands [][]string) {
				for _, c := range commands {
					server.Must(c...)
				}
			}
			var ahead atomic.Int64
			one := svctest.New(t, svctest.Options{Postgres: true, RedisURL: server.URL(),
				Clock: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
			two := one.Node()
			account := one.Account("ci", "clusters:view")
			says := func(n *svctest.Server, want bool, why string) {
				t.Helper()
				require.Eventually(t, func() bool {
					_, partial := listed(t, n, account)
					return partial == want
				}, time.Minute, 50*time.Millisecond, why)
			}
			says(one, false, "nothing is lost")
			do(redis.refuses)
			two.Token(account.ClientID, account.ClientSecret, "")
			says(two, true, "it can't record it")
			two.Stop()
			do(redis.takes)
			require.Eventually(t, func() bool { return one.Get("/readyz", "").JSON["status"] == "ok" }, time.Minute,
				50*time.Millisecond)
			gap := server.Must("KEYS", "*{records}:gap")
			for range 2 { // which it writes when it has compared what it knows with that
				before := server.Must("GET", gap)
				require.Eventually(t, func() bool { return server.Must("GET", gap) != before }, time.Minute,
					50*time.Millisecond)
			}
			shown, partial := listed(t, one, account)
			require.Zero(t, shown)
			require.True(t, partial, "the node that issued it has ended")
			two.Start()
			time.Sleep(1500 * time.Millisecond) // it has compared with Redis since, as the other does
			says(two, true, "what it held before it ended")
			ahead.Store(int64(26 * time.Hour)) // an hour is how far clocks may differ
			says(one, false, "that token has expired")
			says(two, false, "that token has expired")
		})
	}
}
