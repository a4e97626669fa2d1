package keyring

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// What Crowded says holds of the keys themselves: with the value that it names
// no rotation waits, with an hour less one does.
func TestCrowdedNamesAValueThatWouldDo(t *testing.T) {
	databases(t, func(t *testing.T, open func() *store.Store, _ string) {
		var apis []svcauth.API
		for _, algorithm := range algorithms {
			apis = append(apis, svcauth.API{
				Audience: "https://" + strings.ToLower(algorithm) + ".example",
				Name:     algorithm, Profile: &svcauth.Profile{SigningAlgorithm: algorithm},
			})
			c := Crowded(time.Hour, es256, apis)
			require.NotNil(t, c)
			require.Equal(t, newUsage(es256, apis).all, c.Algorithms)
			require.Nil(t, Crowded(c.Enough, es256, apis))
			require.Nil(t, Crowded(rotateEvery, es256, apis))
			require.False(t, waits(t, open(), c.Enough, apis))
			require.True(t, waits(t, open(), c.Enough-time.Hour, apis))
		}
	})
}

// waits reports whether a rotation waits for room within some days, and checks
// that it was said at the start.
func waits(t *testing.T, db *store.Store, every time.Duration, apis []svcauth.API) bool {
	t.Helper()
	var said bytes.Buffer
	c, cfg := newClock(), config(db, newClock())
	cfg.RotateEvery, cfg.PublishBefore, cfg.Clock = every, time.Hour/2, c.Now
	cfg.Logger = slog.New(slog.NewTextHandler(&said, nil))
	require.NoError(t, db.Write(t.Context(), func(q *store.Q) error {
		rows, err := q.SigningKeys(t.Context())
		require.NoError(t, err)
		for _, r := range rows {
			require.NoError(t, q.DeleteSigningKey(t.Context(), r.KID))
		}
		return q.ReplaceCatalog(t.Context(), apis, nil)
	}))
	k := loaded(t, cfg)
	warned := strings.Contains(said.String(), "too short for keys of")
	for end := c.Now().Add(2*retiredFor + every); c.Now().Before(end); c.Advance(time.Hour / 2) {
		require.NoError(t, k.Advance(t.Context()))
	}
	waited := strings.Contains(said.String(), "is due and can't be published yet")
	require.Equal(t, waited, warned, said.String())
	return waited
}
