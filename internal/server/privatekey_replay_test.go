package server_test

import (
	"encoding/base64"
	"net/http"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/clock"
	"github.com/svcauth/svcauth/internal/svctest/schema"
)

// An assertion passes once in all its life: also shortly before its end, when
// it is no longer in the memory of the process that has seen it; also without
// iat, which would tell how long it lives; and in the next process.
func TestAssertionPassesOnceInItsLife(t *testing.T) {
	now := clock.New(time.Now().Truncate(time.Second))
	s := svctest.New(t, svctest.Options{Clock: now.Now})
	g := newSigner(t, s, p256(t), "ES256", nil)
	now.Advance(10 * time.Minute)
	ask := func(assertion string) int {
		var status int
		require.Eventually(t, func() bool { // once the node has read the change log by the new time
			status = g.ask(assertion).Status
			return status != http.StatusServiceUnavailable
		}, patience, 20*time.Millisecond)
		return status
	}
	for name, edit := range map[string]func(jwt.MapClaims){
		"an hour": func(c jwt.MapClaims) { c["exp"] = now.Now().Add(time.Hour).Unix() },
		"an hour, no iat": func(c jwt.MapClaims) {
			c["exp"] = now.Now().Add(time.Hour).Unix()
			delete(c, "iat")
		},
		"seven minutes, made ahead": func(c jwt.MapClaims) {
			c["exp"], c["iat"] = now.Now().Add(7*time.Minute).Unix(), now.Now().Add(29*time.Second).Unix()
		},
		"five minutes, made ahead": func(c jwt.MapClaims) {
			c["exp"], c["iat"] = now.Now().Add(329*time.Second).Unix(), now.Now().Add(29*time.Second).Unix()
		},
		"a minute": func(c jwt.MapClaims) { c["exp"] = now.Now().Add(time.Minute).Unix() },
	} {
		t.Run(name, func(t *testing.T) {
			var ends time.Time
			assertion := g.sign(func(_ map[string]any, c jwt.MapClaims) {
				c["iat"] = now.Now().Unix()
				edit(c)
				ends = time.Unix(c["exp"].(int64), 0)
			})
			require.Equal(t, http.StatusOK, ask(assertion))
			require.Equal(t, http.StatusUnauthorized, ask(assertion))
			s.Stop()
			s.Start()
			require.Equal(t, http.StatusUnauthorized, ask(assertion), "in the next process")
			now.Advance(ends.Sub(now.Now()) + 29*time.Second)
			ask(g.sign(func(_ map[string]any, c jwt.MapClaims) { // what has ended is forgotten by then
				c["iat"], c["exp"] = now.Now().Unix(), now.Now().Add(time.Minute).Unix()
			}))
			require.Equal(t, http.StatusUnauthorized, ask(assertion), "shortly before its end")
		})
	}
}

// A process that remembers assertions by itself asks the database for those
// that one before it has left there: it had no room, or others beside it.
func TestAssertionUsedBeforeByARow(t *testing.T) {
	database := schema.SQLite(t)
	s := svctest.New(t, svctest.Options{DatabaseURL: database})
	g := newSigner(t, s, p256(t), "ES256", nil)
	claims, other := g.claims(), g.sign(nil)
	used := g.sign(func(_ map[string]any, c jwt.MapClaims) { c["jti"] = claims["jti"] })
	s.Stop()
	db, err := store.Open(store.Config{URL: database, Patience: schema.Patience})
	require.NoError(t, err)
	id := cache.UseID(g.account.ID, claims["jti"].(string))
	first, err := db.UseAssertions(t.Context(), []store.AssertionUse{{
		ID: base64.RawURLEncoding.EncodeToString(id[:]), ClientID: g.account.ID,
		Until: time.Now().Add(90 * time.Second),
	}}, time.Now())
	require.NoError(t, err)
	require.Len(t, first, 1)
	require.NoError(t, db.Close())
	s.Start()
	require.Equal(t, http.StatusUnauthorized, g.ask(used).Status)
	require.Equal(t, http.StatusOK, g.ask(other).Status)
	require.Equal(t, http.StatusUnauthorized, g.ask(other).Status)
	s.Stop()
	s.Start()
	require.Equal(t, http.StatusUnauthorized, g.ask(other).Status)
}
