package server_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Whoever rotates the keys over and over brings no resource server to refuse
// fresh tokens: the server stops publishing more before the library stops
// reading them.
func TestRotationsInARowNeverOutgrowWhatOurLibraryReads(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	account, api := s.Account("ci", "clusters:view"), s.Account("api", svcauth.TokensIntrospect)
	rotated := 0
	for range 260 {
		_, err := s.Admin().RotateSigningKeys(t.Context(), svcauth.KeyRotation{})
		if err == nil {
			rotated++
			continue
		}
		var refusal *svcauth.Problem
		require.True(t, errors.As(err, &refusal), "%v", err)
		require.Equal(t, 409, refusal.Status)
		require.Contains(t, refusal.Detail, "next rotation is possible at 20")
		require.Greater(t, refusal.RetryAfter, time.Hour)
	}
	require.Equal(t, svcauth.MaxPublishedKeys-2, rotated, "from the active and the next one to the bound")
	v := resourceServer(t, s, api, func(c *resourceserver.Config) { c.KeyRefresh = 24 * time.Hour })
	accepted(t, v, tokenOf(s, account))
	keys, err := s.Admin().SigningKeys(t.Context())
	require.NoError(t, err)
	require.Len(t, keys.Items, svcauth.MaxPublishedKeys)
	_, err = s.Admin().RevokeSigningKey(t.Context(), keys.Items[len(keys.Items)-1].KID)
	require.NoError(t, err)
	_, err = s.Admin().RotateSigningKeys(t.Context(), svcauth.KeyRotation{})
	require.NoError(t, err, "a revoked key makes room")
	require.Eventually(t, func() bool {
		_, err := v.Verify(t.Context(), tokenOf(s, account))
		return err == nil
	}, patience, 20*time.Millisecond)
}
