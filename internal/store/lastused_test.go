package store

import (
	"context"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const apart = int64(useApart / time.Millisecond)

func secretOf(t *testing.T, s *Store, clientID, id string) {
	t.Helper()
	secretsOf(t, s, clientID, id)
}

// secretsOf makes secrets of a client, all in one transaction.
func secretsOf(t *testing.T, s *Store, clientID string, ids ...string) {
	t.Helper()
	must(t, s, func(ctx context.Context, q *Q) error {
		for _, id := range ids {
			if err := q.InsertCredential(ctx, CredentialRow{ID: id, ClientID: clientID, OrgID: "org_a",
				Kind: CredentialSecret, Material: "of " + id, CreatedAt: time.Now()}); err != nil {
				return err
			}
		}
		return nil
	})
}

func lastUseOf(t *testing.T, s *Store, clientID string) (ms int64) {
	t.Helper()
	account, err := s.Read().ServiceAccount(t.Context(), "org_a", clientID)
	require.NoError(t, err)
	if account.LastUsedAt != nil {
		ms = account.LastUsedAt.UnixMilli()
	}
	return ms
}

// A last use never goes back, and what is not a minute later is not written.
func TestLastUseNeverGoesBack(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		filled(t, s)
		touch := func(ms int64) int64 {
			t.Helper()
			require.NoError(t, s.NoteUse(t.Context(), map[string]Use{
				"sec_1a": {"sa_a", ms}, "sec_none": {"sa_none", ms}, "sec_other": {"sa_none", ms},
			}))
			last, err := count(t.Context(), s.Read(), `SELECT last_used_ms FROM credential WHERE id = 'sec_1a'`)
			require.NoError(t, err)
			require.Equal(t, last, lastUseOf(t, s, "sa_a"), "a client was used when one of its credentials was")
			return last
		}
		require.EqualValues(t, 100, touch(100))
		require.EqualValues(t, 100, touch(50))
		require.EqualValues(t, 100, touch(100+apart-1))
		require.EqualValues(t, 100+apart, touch(100+apart))
		require.NoError(t, s.NoteUse(t.Context(), nil))
	})
}

// TestAClientKeepsTheUseOfACredentialThatIsGone, whether it was noted before
// the credential went, or waits on some node until then.
func TestAClientKeepsTheUseOfACredentialThatIsGone(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		filled(t, s)
		gone := func(id string) {
			must(t, s, func(ctx context.Context, q *Q) error {
				return q.DeleteCredential(ctx, "org_a", "sa_a", CredentialSecret, id)
			})
		}
		secretOf(t, s, "sa_a", "sec_x")
		secretOf(t, s, "sa_a", "sec_y")
		gone("sec_y")
		require.Zero(t, lastUseOf(t, s, "sa_a"))
		require.NoError(t, s.NoteUse(t.Context(), map[string]Use{"sec_x": {"sa_a", 1000}}))
		gone("sec_x")
		require.EqualValues(t, 1000, lastUseOf(t, s, "sa_a"))
		late := 1000 + 5*apart
		require.NoError(t, s.NoteUse(t.Context(), map[string]Use{
			"sec_1a": {"sa_a", 1000 + apart}, "sec_x": {"sa_a", late}, "sec_y": {"sa_a", late - 1},
		}))
		require.Equal(t, late, lastUseOf(t, s, "sa_a"))
		gone("sec_1a")
		require.Equal(t, late, lastUseOf(t, s, "sa_a"), "it does not go back")
	})
}

// Nodes that note the use of the same clients at the same time do not lock each
// other out: none of their transactions fails, and the latest moment counts.
func TestNodesNoteTheSameClientsAtOnce(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		filled(t, s)
		var ids []string
		for i := range 2000 {
			ids = append(ids, fmt.Sprint("sec_", 1_000_000+i))
		}
		secretsOf(t, s, "sa_a", ids...)
		var nodes sync.WaitGroup
		for node := range 4 {
			nodes.Go(func() {
				for round := range 25 {
					now, used := Use{"sa_a", apart * int64(4*round+node)}, map[string]Use{}
					for range 500 {
						used[fmt.Sprint("sec_", 1_000_000+mathrand.IntN(2000))] = now
					}
					used["sec_1000000"] = now
					assert.NoError(t, s.NoteUse(t.Context(), used))
				}
			})
		}
		nodes.Wait()
		last, err := count(t.Context(), s.Read(), `SELECT last_used_ms FROM credential WHERE id = 'sec_1000000'`)
		require.NoError(t, err)
		require.EqualValues(t, apart*(4*24+3), last)
	})
}

// A note of uses has its rows in no order, so that it and another transaction
// may wait for each other. It is the note that gives way and is written later.
func TestANoteOfUsesGivesWay(t *testing.T) {
	s := open(t, withSchema.Postgres(t))
	filled(t, s)
	secretsOf(t, s, "sa_a", "sec_1", "sec_2", "sec_3")
	used := map[string]Use{"sec_1": {"sa_a", apart}, "sec_2": {"sa_a", apart}, "sec_3": {"sa_a", apart}}
	lock := func(q *Q, id string) error {
		_, err := q.exec(t.Context(), `SELECT 1 FROM credential WHERE id = $1 FOR UPDATE`, id)
		return err
	}
	hold := func(id string) (begun chan struct{}, then chan string, ended chan error) {
		begun, then, ended = make(chan struct{}), make(chan string), make(chan error, 1)
		go func() {
			ended <- s.WriteAside(t.Context(), func(q *Q) error {
				if err := lock(q, id); err != nil {
					return err
				}
				close(begun)
				if next := <-then; next != "" {
					return lock(q, next)
				}
				return nil
			})
		}()
		<-begun
		return begun, then, ended
	}
	waiting := func(n int64) {
		require.Eventually(t, func() bool {
			now, err := count(t.Context(), s.Read(), `SELECT COUNT(*) FROM pg_stat_activity
				WHERE datname = current_database() AND wait_event_type = 'Lock'`)
			return err == nil && now == n
		}, time.Minute, time.Millisecond)
	}
	_, holder, held := hold("sec_2")
	_, other, others := hold("sec_3")
	noted := make(chan error, 1)
	go func() { noted <- s.NoteUse(t.Context(), used) }()
	waiting(1) // it has the first, and waits for the second
	other <- "sec_1"
	waiting(2)
	holder <- ""
	require.NoError(t, <-held)
	require.NoError(t, <-others, "who waits for a note is not ended for it")
	<-noted
	require.NoError(t, s.NoteUse(t.Context(), used))
	last, err := count(t.Context(), s.Read(), `SELECT MIN(last_used_ms) FROM credential WHERE client_id = 'sa_a'`)
	require.NoError(t, err)
	require.Equal(t, apart, last)
}

// Somebody who holds a row holds up the notes of its portion, and no others.
func TestARowThatIsHeldHoldsUpOnePortion(t *testing.T) {
	s := open(t, withSchema.Postgres(t))
	filled(t, s)
	var ids []string
	used := map[string]Use{}
	for i := range 2*useBatch + 1 {
		ids = append(ids, fmt.Sprint("sec_", 1_000_000+i))
		used[ids[i]] = Use{"sa_a", apart}
	}
	secretsOf(t, s, "sa_a", ids...)
	noted := func() int64 {
		n, err := count(t.Context(), s.Read(), `SELECT COUNT(*) FROM credential WHERE last_used_ms IS NOT NULL`)
		require.NoError(t, err)
		return n
	}
	require.NoError(t, s.WriteAside(t.Context(), func(q *Q) error {
		_, err := q.exec(t.Context(), `SELECT 1 FROM credential WHERE id = $1 FOR UPDATE`, ids[useBatch])
		require.NoError(t, err)
		require.ErrorContains(t, s.NoteUse(t.Context(), used), "55P03")
		return nil
	}))
	require.EqualValues(t, useBatch+1, noted())
	require.NoError(t, s.NoteUse(t.Context(), used))
	require.EqualValues(t, 2*useBatch+1, noted())
}

// TestCredentialsThatExpireSoonAreCountedByKind has one of each kind that ends
// soon, and those that are not counted: unused, ended, far off.
func TestCredentialsThatExpireSoonAreCountedByKind(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		filled(t, s)
		now := time.Now().UTC().Truncate(time.Second)
		soon, far, past := now.Add(time.Hour), now.Add(100*time.Hour), now.Add(-time.Hour)
		used := map[string]Use{}
		add := func(id, kind string, expires *time.Time, hint string, isUsed bool) {
			must(t, s, func(ctx context.Context, q *Q) error {
				return q.InsertCredential(ctx, CredentialRow{ID: id, ClientID: "sa_a", OrgID: "org_a", Kind: kind,
					Material: "of " + id, Hint: hint, CreatedAt: past, ExpiresAt: expires})
			})
			if isUsed {
				used[id] = Use{"sa_a", past.UnixMilli()}
			}
		}
		ends := func(at time.Time) string { return at.Format(time.RFC3339) + " CN=ci" }
		add("sec_1", CredentialSecret, &soon, "abcd", true)
		add("sec_2", CredentialSecret, &soon, "abcd", false)
		add("key_1", CredentialKey, &soon, "x", true)
		add("key_2", CredentialKey, &past, "x", true)
		add("fed_1", CredentialFederated, &soon, "deploy", true)
		add("fed_2", CredentialFederated, &far, "deploy", true)
		add("crt_1", CredentialCertificate, &soon, "", true)
		add("crt_2", CredentialCertificate, nil, ends(soon), true)
		add("crt_3", CredentialCertificate, &far, ends(soon), true)
		add("crt_4", CredentialCertificate, &soon, ends(soon), true) // once
		add("crt_5", CredentialCertificate, nil, ends(far), true)
		add("crt_6", CredentialCertificate, nil, ends(past), true)
		require.NoError(t, s.NoteUse(t.Context(), used))
		counts, err := s.Read().CountExpiringCredentials(t.Context(), now, now.Add(24*time.Hour),
			now.Add(-24*time.Hour), 100)
		require.NoError(t, err)
		require.Equal(t, map[string]int{
			CredentialSecret: 1, CredentialKey: 1, CredentialFederated: 1, CredentialCertificate: 4,
		}, counts)
	})
}
