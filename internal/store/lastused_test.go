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

// Nodes that note the use of the same clients at the same time do not lock each
// other out: none of their transactions fails, and the latest moment counts.
func TestNodesNoteTheSameClientsAtOnce(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		filled(t, s)
		crowd(t, s, 2000)
		var nodes sync.WaitGroup
		for node := range 4 {
			nodes.Go(func() {
				for round := range 25 {
					used := map[string]int64{}
					for range 500 {
						used[fmt.Sprint("sa_", 1_000_000+mathrand.IntN(2000))] = int64(4*round + node)
					}
					used["sa_1000000"] = int64(4*round + node)
					assert.NoError(t, s.NoteUse(t.Context(), used, nil))
				}
			})
		}
		nodes.Wait()
		last, err := count(t.Context(), s.Read(), `SELECT last_used_ms FROM client WHERE id = 'sa_1000000'`)
		require.NoError(t, err)
		require.EqualValues(t, 4*24+3, last)
	})
}

// TestCredentialsThatExpireSoonAreCountedByKind has one of each kind that ends
// soon, and those that are not counted: unused, ended, far off.
func TestCredentialsThatExpireSoonAreCountedByKind(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		filled(t, s)
		now := time.Now().UTC().Truncate(time.Second)
		soon, far, past := now.Add(time.Hour), now.Add(100*time.Hour), now.Add(-time.Hour)
		used := map[string]int64{}
		add := func(id, kind string, expires *time.Time, hint string, isUsed bool) {
			must(t, s, func(ctx context.Context, q *Q) error {
				return q.InsertCredential(ctx, CredentialRow{ID: id, ClientID: "sa_a", OrgID: "org_a", Kind: kind,
					Material: "of " + id, Hint: hint, CreatedAt: past, ExpiresAt: expires})
			})
			if isUsed {
				used[id] = past.UnixMilli()
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
		require.NoError(t, s.NoteUse(t.Context(), nil, used))
		counts, err := s.Read().CountExpiringCredentials(t.Context(), now, now.Add(24*time.Hour),
			now.Add(-24*time.Hour), 100)
		require.NoError(t, err)
		require.Equal(t, map[string]int{
			CredentialSecret: 1, CredentialKey: 1, CredentialFederated: 1, CredentialCertificate: 4,
		}, counts)
	})
}
