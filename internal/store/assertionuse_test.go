package store_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/schema"
)

// uses is the table of used assertions, over a restart and on two nodes.
type uses struct {
	*testing.T
	url string
	*store.Store
}

// onBothUses runs test on SQLite and on PostgreSQL.
func onBothUses(t *testing.T, test func(*uses)) {
	for kind, copied := range map[string]func(testing.TB) string{"sqlite": schema.SQLite, "postgres": schema.Postgres} {
		t.Run(kind, func(t *testing.T) {
			u := &uses{T: t, url: copied(t)}
			u.Store = u.open()
			test(u)
		})
	}
}

func (u *uses) open() *store.Store {
	u.Helper()
	s, err := store.Open(store.Config{URL: u.url, Patience: schema.Patience})
	require.NoError(u, err)
	u.Cleanup(func() { _ = s.Close() })
	return s
}

// first records uses of a client until a moment, and returns which are first.
func (u *uses) first(client string, until, now time.Time, ids ...string) []string {
	u.Helper()
	first, err := u.UseAssertions(u.Context(), usesOf(client, until, ids...), now)
	require.NoError(u, err)
	return first
}

func usesOf(client string, until time.Time, ids ...string) (all []store.AssertionUse) {
	for _, id := range ids {
		all = append(all, store.AssertionUse{ID: id, ClientID: client, Until: until})
	}
	return all
}

func (u *uses) count(client string, now time.Time, limit int) int64 {
	u.Helper()
	n, err := u.Read().CountAssertionUses(u.Context(), client, now, limit)
	require.NoError(u, err)
	return n
}

// Of all who record the same use at once, in batches that overlap and on two
// nodes, one is the first, and none waits for another for ever.
func TestOneUseOfAnAssertionIsTheFirst(t *testing.T) {
	onBothUses(t, func(u *uses) {
		nodes := []*store.Store{u.Store}
		if u.Postgres() { // SQLite is for one process
			nodes = append(nodes, u.open())
		}
		now := time.UnixMilli(1_900_000_000_000)
		var ids []string
		for i := range 2 * store.MaxAssertionUses {
			ids = append(ids, fmt.Sprint("use-", i))
		}
		var wait sync.WaitGroup
		var mu sync.Mutex
		firsts := map[string]int{}
		for i := range 16 {
			wait.Go(func() {
				batch := append([]string{}, ids...)
				rand.Shuffle(len(batch), func(a, b int) { batch[a], batch[b] = batch[b], batch[a] })
				for half := range 2 {
					first, err := nodes[i%len(nodes)].UseAssertions(t.Context(), usesOf("sa_1", now.Add(time.Minute),
						batch[half*store.MaxAssertionUses:(half+1)*store.MaxAssertionUses]...), now)
					mu.Lock()
					for _, id := range first {
						firsts[id]++
					}
					mu.Unlock()
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wait.Wait()
		require.Len(u, firsts, len(ids))
		for id, n := range firsts {
			require.Equal(u, 1, n, id)
		}
		require.EqualValues(u, len(ids), u.count("sa_1", now, 1000))
	})
}

// A use counts until it is over, also after a restart; then the id is free
// again, whether the row was swept or not.
func TestAUseOfAnAssertionIsOver(t *testing.T) {
	onBothUses(t, func(u *uses) {
		now := time.UnixMilli(1_900_000_000_000)
		soon, late := now.Add(time.Minute), now.Add(24*time.Hour)
		require.Equal(u, []string{"a", "b"}, u.first("sa_1", soon, now, "b", "a"))
		require.Equal(u, []string{"c"}, u.first("sa_1", late, now, "c", "a"))
		require.Empty(u, u.first("sa_2", late, now, "a"), "the id holds the client already")
		require.NoError(u, u.Close())
		u.Store = u.open()
		require.Empty(u, u.first("sa_1", late, soon.Add(-time.Millisecond), "a", "b", "c"), "after a restart, too")
		require.EqualValues(u, 3, u.count("sa_1", soon.Add(-time.Millisecond), 10))
		require.EqualValues(u, 1, u.count("sa_1", soon, 10))
		require.Zero(u, u.count("sa_2", now, 10))
		require.EqualValues(u, 2, u.count("sa_1", now, 2), "no further than the limit")

		require.Equal(u, []string{"a"}, u.first("sa_1", late, soon, "a", "c"), "it is over, though its row is there")
		require.Empty(u, u.first("sa_1", late, soon, "a"))
		sweep := func(at time.Time) {
			require.NoError(u, u.WriteAside(u.Context(), func(q *store.Q) error {
				_, err := q.Sweep(u.Context(), at, time.Time{}, 100)
				return err
			}))
		}
		sweep(soon)
		require.Empty(u, u.first("sa_1", late, soon.Add(-time.Second), "b"), "by a clock that is behind it is not over")
		sweep(soon.Add(10 * time.Minute))
		require.EqualValues(u, 2, u.count("sa_1", now, 10), "b is swept; a and c are not over")
		require.Equal(u, []string{"b"}, u.first("sa_1", late, soon, "a", "b", "c"))
	})
}

// someonesPlace is the place of one of the requests whose uses are recorded.
type someonesPlace struct{ *testing.T }

func (p someonesPlace) Release() {}

func (p someonesPlace) Await() bool {
	p.Error("it is counted as one that waits")
	return true
}

func (p someonesPlace) Caller() (key string, privileged bool) {
	p.Error("all wait in its turn")
	return "org_a", false
}

// Uses are recorded for many organizations at once. Nobody waits for the turn
// of the one whose request happened to come first.
func TestUsesWaitInNobodysTurn(t *testing.T) {
	onBothUses(t, func(u *uses) {
		ctx := limits.WithPlace(u.Context(), someonesPlace{u.T})
		now := time.Now()
		first, err := u.UseAssertions(ctx, usesOf("sa_1", now.Add(time.Minute), "a"), now)
		require.NoError(u, err)
		require.Equal(u, []string{"a"}, first)
	})
}
