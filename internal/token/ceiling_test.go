package token

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
)

// A credential's ceiling bounds what a request gets, whatever it asks for, and
// such a token is never full: it hands over no more than its scope.
func TestACeilingBoundsTokens(t *testing.T) {
	s := guarded(t)
	whole := someIssuance(s, Request{},
		store.HeldRole{ID: "r1", Name: "A", Kind: store.RoleCustom, Privileges: []string{"a:a"}},
		store.HeldRole{ID: "r2", Name: "B", Kind: store.RoleCustom, Privileges: []string{"b:b"}},
	).holder
	require.Equal(t, []string{"a:a", "b:b"}, whole.held.Privileges)
	below := whole.under([]string{"a:a", "not:held"}, s.cfg.Issuer)
	claims := func(h *holder, r Request) map[string]any {
		d, refusal := s.decide(h, r)
		require.Nil(t, refusal)
		var read map[string]any
		require.NoError(t, json.Unmarshal(d.claims(true), &read))
		return read
	}
	require.Equal(t, true, claims(whole, Request{})["full"])
	got := claims(below, Request{})
	require.Equal(t, "a:a", got["scope"])
	require.Equal(t, []any{"A"}, got["roles"])
	require.NotContains(t, got, "full")
	_, refusal := s.decide(below, Request{Scope: "b:b"})
	require.NotNil(t, refusal)
	require.Equal(t, "scope_not_granted", refusal.Reason)
	require.Equal(t, []string{"a:a", "b:b"}, whole.held.Privileges, "the holder itself is as it was")
	require.Empty(t, whole.under([]string{}, s.cfg.Issuer).held.Privileges)
}
