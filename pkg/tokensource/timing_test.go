package tokensource

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// inTime asks for a token and requires that it took no time at all.
func inTime(t *testing.T, s *Source, want string) {
	t.Helper()
	before := time.Now()
	got, err := s.Token(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, got.AccessToken)
	require.Zero(t, time.Since(before), "nobody waits while a valid token can be served")
}

func TestRenewsInTheBackground(t *testing.T) {
	for _, c := range []struct {
		lifetime int
		at       time.Duration
	}{{3600, 20 * time.Minute}, {86400, 20 * time.Minute}, {600, 5 * time.Minute}, {60, 30 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			server := newClockwork()
			server.lifetime, server.timeout = c.lifetime, time.Hour
			s := server.source(t)
			defer s.Close()
			inTime(t, s, "token-1")
			server.set(func() { server.takes = c.at/10 + 5*time.Second })
			time.Sleep(c.at*9/10 - time.Second)
			synctest.Wait()
			require.Equal(t, 1, server.asked())
			time.Sleep(c.at/10 + 2*time.Second)
			synctest.Wait()
			require.Equal(t, 2, server.asked(), "with nobody's help")
			inTime(t, s, "token-1") // the renewal is in the air
			time.Sleep(c.at/10 + 5*time.Second)
			synctest.Wait()
			inTime(t, s, "token-2")
		})
	}
}

func TestRenewalIsSpreadAtRandom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newClockwork()
		for range 50 {
			s := server.source(t)
			defer s.Close()
			inTime(t, s, fmt.Sprintf("token-%d", server.asked()+1))
		}
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		require.Equal(t, 100, server.asked())
		different := map[time.Duration]bool{}
		for _, at := range server.at[50:] {
			require.GreaterOrEqual(t, at, 18*time.Minute)
			different[at] = true
		}
		require.Greater(t, len(different), 40)
	})
}

func TestAnUnusedSourceFallsSilentAndWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newClockwork()
		s := server.source(t)
		defer s.Close()
		inTime(t, s, "token-1")
		time.Sleep(48 * time.Hour)
		synctest.Wait()
		quiet := server.asked()
		require.LessOrEqual(t, quiet, 5)
		inTime(t, s, fmt.Sprintf("token-%d", quiet+1))
	})
}

func TestServerAwayWhileTheTokenLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newClockwork()
		s := server.source(t)
		defer s.Close()
		inTime(t, s, "token-1")
		server.set(func() { server.status = 503 })
		for range 59*4 - 1 { // to 75 s before its expiry
			time.Sleep(15 * time.Second)
			inTime(t, s, "token-1")
		}
		tries := server.asked()
		require.Greater(t, tries, 20)
		require.Less(t, tries, 400)
		server.set(func() { server.status = 200 })
		time.Sleep(45 * time.Second) // it waits for half of what is left, and up to a tenth more
		synctest.Wait()
		inTime(t, s, fmt.Sprintf("token-%d", server.asked()))
	})
}

func TestExpiredTokenIsNotServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newClockwork()
		s := server.source(t)
		defer s.Close()
		inTime(t, s, "token-1")
		server.set(func() { server.status = 401 })
		time.Sleep(time.Hour - maxMargin - time.Second)
		inTime(t, s, "token-1")
		time.Sleep(time.Second)
		_, err := s.Token(t.Context())
		var refused *Error
		require.ErrorAs(t, err, &refused)
	})
}

func TestClockThatIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newClockwork()
		var ahead time.Duration
		s, err := New(Config{TokenURL: "https://auth.example.com/token", ClientID: "sa", ClientSecret: "s",
			HTTPClient: &http.Client{Transport: roundTrip(server.answer)},
			Clock:      func() time.Time { return time.Now().Add(ahead) }})
		require.NoError(t, err)
		defer s.Close()
		inTime(t, s, "token-1")
		ahead = 30 * time.Minute // past the renewal, which the call itself starts
		inTime(t, s, "token-1")
		synctest.Wait()
		inTime(t, s, "token-2")
		ahead = 3 * time.Hour
		inTime(t, s, "token-3")
	})
}

func TestBackOffGrowsAndRetryAfterIsHonoured(t *testing.T) {
	for name, c := range map[string]struct {
		status     int
		header     func() string
		least, max [3]time.Duration
	}{
		"broken connections": {0, nil, [3]time.Duration{125, 250, 500}, [3]time.Duration{250, 500, 1000}},
		"503":                {503, nil, [3]time.Duration{125, 250, 500}, [3]time.Duration{250, 500, 1000}},
		"seconds": {429, func() string { return "7" }, [3]time.Duration{7000, 7000, 7000},
			[3]time.Duration{10500, 10500, 10500}},
		"date": {503, func() string { return time.Now().Add(20 * time.Second).UTC().Format(http.TimeFormat) },
			[3]time.Duration{20000, 0, 0}, [3]time.Duration{30000, 30000, 30000}},
		"nonsense": {503, func() string { return "-5" }, [3]time.Duration{125, 250, 500},
			[3]time.Duration{250, 500, 1000}},
	} {
		synctest.Test(t, func(t *testing.T) {
			server := newClockwork()
			server.status = c.status
			if c.header != nil {
				server.header.Set("Retry-After", c.header())
			}
			s := server.source(t)
			defer s.Close()
			_, err := s.Token(t.Context())
			require.Error(t, err)
			require.Len(t, server.at, 4, name)
			for i := range 3 {
				wait := server.at[i+1] - server.at[i]
				require.GreaterOrEqual(t, wait, c.least[i]*time.Millisecond, name)
				require.LessOrEqual(t, wait, c.max[i]*time.Millisecond, name)
			}
		})
	}
}

func TestLongRetryAfterFailsAtOnceAndIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newClockwork()
		server.status = 429
		server.header.Set("Retry-After", "86400")
		s := server.source(t)
		defer s.Close()
		for range 3 {
			before := time.Now()
			_, err := s.Token(t.Context())
			var refused *Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, 24*time.Hour, refused.RetryAfter)
			require.Zero(t, time.Since(before))
		}
		require.Equal(t, 1, server.asked(), "a server that asked to be left alone is left alone")
		server.set(func() { server.status = 200 })
		time.Sleep(maxSilence) // but not for a day
		inTime(t, s, "token-2")
	})
}

func TestAnAttemptIsBoundedAndTheFlightOutlivesItsFirstCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newClockwork()
		server.takes = time.Hour
		s := server.source(t)
		defer s.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.Token(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(server.start))
		server.set(func() { server.takes = 0 })
		got, err := s.Token(t.Context()) // joins, sees the first attempt end at 10 s and the second succeed
		require.NoError(t, err)
		require.Equal(t, "token-2", got.AccessToken)
		require.InDelta(t, 10, time.Since(server.start).Seconds(), 0.3)
	})
}
