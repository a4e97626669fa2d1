package store

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestEveryQueryIsNamedInItsError calls every exported method of Q on a
// database that is closed.
func TestEveryQueryIsNamedInItsError(t *testing.T) {
	s := open(t, "sqlite://"+t.TempDir()+"/svcauth.db")
	require.NoError(t, s.Close())
	q := s.Read()
	q.room = &s.room // as in a transaction
	of := reflect.TypeFor[*Q]()
	require.Greater(t, of.NumMethod(), 80)
	for method := range of.Methods() {
		call := []reflect.Value{reflect.ValueOf(q), reflect.ValueOf(t.Context())}
		for i := len(call); i < method.Type.NumIn(); i++ {
			call = append(call, anyValue(method.Type.In(i)))
		}
		results := method.Func.Call(call)
		err, _ := results[len(results)-1].Interface().(error)
		require.Error(t, err, method.Name)
		named, ok := strings.CutPrefix(err.Error(), method.Name)
		require.True(t, ok && strings.ContainsAny(named[:1], ":("), "%s: %v", method.Name, err)
	}
}

// anyValue returns an argument with which a method does not return before it
// asks: a list has one element.
func anyValue(of reflect.Type) reflect.Value {
	if of.Kind() == reflect.Slice {
		return reflect.MakeSlice(of, 1, 1)
	}
	return reflect.New(of).Elem()
}

func TestTheStoresOwnCallsAreNamedInTheirErrors(t *testing.T) {
	s := open(t, "sqlite://"+t.TempDir()+"/svcauth.db")
	require.NoError(t, s.Close())
	now := time.Now()
	used := map[string]Use{"sec_1a": {ClientID: "sa_a", MS: 1}}
	_, _, find := s.Sessions().FindCtx(t.Context(), "t")
	_, once := s.Sessions().Once(t.Context(), "t", now)
	for name, err := range map[string]error{
		"FindCtx":     find,
		"CommitCtx":   s.Sessions().CommitCtx(t.Context(), "t", nil, now),
		"DeleteCtx":   s.Sessions().DeleteCtx(t.Context(), "t"),
		"Once":        once,
		"NoteUse":     s.NoteUse(t.Context(), used),
		"SayRecorded": s.SayRecorded(t.Context(), "node", now, now),
		"EndRecorder": s.EndRecorder(t.Context(), "node"),
		"Ping":        s.Ping(t.Context()),
	} {
		require.ErrorContains(t, err, name+": ")
	}
	err := s.Write(t.Context(), func(*Q) error { return nil })
	require.ErrorContains(t, err, "begin a transaction")
	require.NotContains(t, err.Error(), "Write", "whose change it is, the caller says")
}

// TestAQuerysErrorHoldsIDsAndNothingElse of what the query was asked with.
func TestAQuerysErrorHoldsIDsAndNothingElse(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		q := s.Read()
		org, sa, sec := svcauth.NewID("org"), svcauth.NewID("sa"), svcauth.NewID("sec")
		_, err := q.Secret(t.Context(), org, sa, sec)
		require.ErrorIs(t, err, ErrNotFound)
		require.EqualError(t, err, "Secret("+org+", "+sa+", "+sec+"): no such row")
		_, err = q.MemberByEmail(t.Context(), org, "someone@example.com")
		require.EqualError(t, err, "MemberByEmail("+org+"): no such row")
		err = s.Write(t.Context(), func(q *Q) error {
			return q.UpdateOrganization(t.Context(), svcauth.Organization{ID: org, Name: "Name"})
		})
		require.ErrorIs(t, err, ErrStale)
		require.EqualError(t, err, "UpdateOrganization("+org+"): the row has changed since it was read")
		_, err = q.Invitation(t.Context(), []byte("hash"), time.Now())
		require.EqualError(t, err, "Invitation: no such row")
	})
	id := svcauth.NewID("sa")
	require.Equal(t, "("+id+", "+id+", "+id+")", idsOf([]any{id, id, id, id}))
	require.Empty(t, idsOf([]any{"sa_a", "line\n_" + id[3:], "svcs_" + id[3:], 1, nil}))
}

func BenchmarkNameQuery(b *testing.B) {
	id := svcauth.NewID("sa")
	for b.Loop() {
		_ = nameQuery(ErrNotFound, []any{id, id, "x"})
	}
}
