package verify

import (
	"context"
	"crypto"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// noKeys is an issuer that has no key.
type noKeys struct{}

func (noKeys) Key(context.Context, string) (string, crypto.PublicKey, error) {
	return "", nil, ErrUnknownKey
}

// An entry {"org_id","min_pol"} without a role denies every older token of the
// organization, also one without roles.
func TestOrganizationsTokensDieByOneEntry(t *testing.T) {
	s := NewRevocationSet()
	s.Add(svcauth.Revocation{OrgID: "org_a", MinPol: 3, Exp: 2_000_000_000})
	for _, c := range []struct {
		claims  Claims
		revoked bool
	}{
		{Claims{OrgID: "org_a", Policy: 2, Roles: []string{"R"}, JTI: "1"}, true},
		{Claims{OrgID: "org_a", Policy: 0, JTI: "2"}, true},
		{Claims{OrgID: "org_a", Policy: 3, Roles: []string{"R"}, JTI: "3"}, false},
		{Claims{OrgID: "org_b", Policy: 0, Roles: []string{"R"}, JTI: "4"}, false},
		{Claims{JTI: "5"}, false},
	} {
		entry, revoked := s.Revoked(&c.claims)
		require.Equal(t, c.revoked, revoked, c.claims.JTI)
		if revoked {
			require.Equal(t, svcauth.Revocation{OrgID: "org_a", MinPol: 3, Exp: 2_000_000_000}, entry)
		}
	}
}

// CheckClaims and Authentic are the two halves of Verify: what it accepts
// passes both, and each refusal comes from one of them.
func TestCheckClaimsRefusesWhatVerifyRefuses(t *testing.T) {
	set := NewRevocationSet()
	v, err := New(Config{Issuer: "https://auth.example.com", Audience: "https://api.example.com", Keys: noKeys{},
		Revocations: set, Clock: time.Now})
	require.NoError(t, err)
	now := v.cfg.Clock().Truncate(1e9)
	good := Claims{Issuer: "https://auth.example.com", Audience: []string{"https://api.example.com"}, IssuedAt: now,
		ExpiresAt: now.Add(3600e9), JTI: "j", Scope: "a:b c:d"}
	require.NoError(t, v.CheckClaims(&good))
	require.True(t, good.Has("c:d"))
	other, late, audience := good, good, good
	other.Issuer, late.ExpiresAt = "https://else.example.com", now
	audience.Audience = []string{"https://other.example.com"}
	require.ErrorContains(t, v.CheckClaims(&other), "another issuer")
	require.ErrorIs(t, v.CheckClaims(&late), ErrExpired)
	require.ErrorContains(t, v.CheckClaims(&audience), "another API")
	set.Add(svcauth.Revocation{JTI: "j", Exp: good.ExpiresAt.Unix()})
	require.ErrorIs(t, v.CheckClaims(&good), ErrRevoked)
	_, err = v.Authentic(t.Context(), "not.a.token")
	require.Error(t, err)
}

// What a set holds is replaced page by page only where the last page has come.
func TestAReplacementThatFailsChangesNothing(t *testing.T) {
	s := NewRevocationSet()
	s.Add(svcauth.Revocation{JTI: "old", Exp: 2_000_000_000})
	revoked := func(jti string) bool {
		_, ok := s.Revoked(&Claims{JTI: jti})
		return ok
	}
	for _, failure := range []error{ErrUnknownKey, nil} {
		require.ErrorIs(t, s.ReplaceFrom(func(add func(...svcauth.Revocation)) error {
			add(svcauth.Revocation{JTI: "new", Exp: 2_000_000_000},
				svcauth.Revocation{JTI: "newer", Exp: 2_000_000_000})
			s.Add(svcauth.Revocation{JTI: "meanwhile", Exp: 2_000_000_000})
			require.False(t, revoked("new"), "not yet")
			return failure
		}), failure)
		require.Equal(t, failure != nil, revoked("old"))
		require.Equal(t, failure == nil, revoked("new"))
		require.Equal(t, failure == nil, revoked("newer"))
		require.True(t, revoked("meanwhile"))
	}
	require.Equal(t, 3, s.Len())
}
