package server_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// logText is a log that may be read while it is written.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestAFeedThatNeverWorkedIsLoggedWithItsCause has the cause once per kind, and
// says when it is over.
func TestAFeedThatNeverWorkedIsLoggedWithItsCause(t *testing.T) {
	t.Parallel()
	s := svctest.New(t, svctest.Options{})
	lacks, follows := s.Account("lacks", "clusters:view"), s.Account("follows", svcauth.TokensIntrospect)
	var text logText
	var mu sync.Mutex
	bearer := "nonsense"
	set := func(token string) { mu.Lock(); defer mu.Unlock(); bearer = token }
	v, err := resourceserver.New(resourceserver.Config{
		Issuer: s.Issuer, Audience: audience, HTTPClient: &http.Client{Transport: s.HTTP.Transport},
		Logger: slog.New(slog.NewTextHandler(&text, nil)),
		Feed: &resourceserver.Feed{Poll: true, Token: func(context.Context) (string, error) {
			mu.Lock()
			defer mu.Unlock()
			return bearer, nil
		}},
	})
	require.NoError(t, err)
	defer v.Close()
	logged := func(words string) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Contains(text.String(), words) },
			patience, 5*time.Millisecond, "%s is missing in: %s", words, &text)
	}
	logged("answered with status 401 (invalid_token: ")
	set(s.OwnToken(lacks.ClientID, lacks.ClientSecret))
	logged("answered with status 403 (insufficient_scope: ")
	set(s.OwnToken(follows.ClientID, follows.ClientSecret))
	logged(`msg="the revocation feed is followed"`)
	require.Equal(t, 2, strings.Count(text.String(), "the revocation feed can't be followed"), &text)
}
