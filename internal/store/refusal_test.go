package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestRefusalsAreMergedPrunedAndSwept is of rows that several nodes write.
func TestRefusalsAreMergedPrunedAndSwept(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		id := func(i int) string {
			return typeid.New(svcauth.PrefixRequest, moment0.Add(time.Duration(i)*time.Second))
		}
		row := func(client, key string, i int, proven bool) Refusal {
			at := moment0.Add(time.Duration(i) * time.Second)
			return Refusal{ID: client + key, OrgID: "org_a", ClientID: client, Refusal: svcauth.Refusal{
				At: at, FirstAt: at, Count: 1, Authenticated: proven, IP: fmt.Sprint(i), RequestIDs: []string{id(i)},
			}}
		}
		write := func(rows ...Refusal) {
			t.Helper()
			n, err := s.NoteRefusals(t.Context(), rows)
			require.NoError(t, err)
			require.Equal(t, len(rows), n)
		}
		of := func(client string) []Refusal {
			t.Helper()
			all, err := s.Read().Refusals(t.Context(), "org_a", client, 1000)
			require.NoError(t, err)
			return all
		}
		write(row("sa_own", "own", 5, true))
		write(row("sa_own", "own", 3, true), row("sa_own", "own2", 4, false))
		merged := of("sa_own")[0]
		require.Equal(t, 2, merged.Count)
		require.Equal(t, moment0.Add(3*time.Second), merged.FirstAt)
		require.Equal(t, moment0.Add(5*time.Second), merged.At)
		require.Len(t, merged.RequestIDs, 2)
		found, err := s.Read().RefusalOf(t.Context(), merged.RequestIDs[0], moment0.Add(4*time.Second))
		require.NoError(t, err)
		require.Equal(t, merged, found)
		for i := range 60 {
			write(row("sa_own", "own", 100+i, true))
		}
		require.Len(t, of("sa_own")[0].RequestIDs, 50, "whole ids only")
		require.Equal(t, "159", of("sa_own")[0].IP)

		var many []Refusal
		for i := range 250 {
			many = append(many, row("sa_many", fmt.Sprint(i), i, i%2 == 0))
		}
		write(many...)
		write(row("sa_many", "last", 1000, false))
		require.Len(t, of("sa_many"), 2*refusalsEach)
		require.Empty(t, func() []Refusal {
			all, err := s.Read().Refusals(t.Context(), "org_b", "sa_many", 1000)
			require.NoError(t, err)
			return all
		}(), "another organization's")
		require.Len(t, of("sa_own"), 2, "others' stay")

		sweep := func(now, auditBefore time.Time) {
			t.Helper()
			require.NoError(t, s.WriteAside(t.Context(), func(q *Q) error {
				_, err := q.Sweep(t.Context(), now, auditBefore, 1000)
				return err
			}))
		}
		sweep(moment0.Add(RefusalKept+time.Minute), time.Time{})
		require.Len(t, of("sa_own"), 1, "the others are older than a minute")
		sweep(moment0.Add(time.Hour), moment0.Add(time.Hour))
		require.Empty(t, of("sa_own"), "audit.retention is shorter")
	})
}
