package verify

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// A clock that jumps ahead and back makes no revocation be forgotten; one that
// stays ahead is believed after an hour.
func TestNothingIsForgottenByAClockThatJumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := NewRevocationSet()
		set.Add(svcauth.Revocation{JTI: "a", Exp: time.Now().Add(30 * time.Minute).Unix()})
		expire := func(off time.Duration, calls int) {
			for range calls {
				set.Expire(time.Now().Add(off))
				time.Sleep(time.Second)
			}
		}
		expire(0, 300)
		expire(10*time.Hour, 20*60)
		require.Equal(t, 1, set.Len(), "ten hours ahead")
		expire(-10*time.Minute, 60)
		require.Equal(t, 1, set.Len(), "back")
		expire(0, 2)
		require.WithinDuration(t, time.Now().Add(-10*time.Minute), set.Believed(time.Now()), time.Second,
			"it was behind, so this is a jump too")
		set.Add(svcauth.Revocation{JTI: "b", Exp: time.Now().Add(3 * time.Hour).Unix()})
		expire(0, 3600)
		require.WithinDuration(t, time.Now(), set.Believed(time.Now()), time.Second)
		require.Equal(t, 1, set.Len(), "the first is over by now, on time")
		expire(24*time.Hour, 3598)
		require.Equal(t, 1, set.Len())
		expire(24*time.Hour, 20)
		require.Zero(t, set.Len(), "it has been so for an hour: it is so")
	})
}

func TestAClockThatIsSlewedIsBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := steadyClock{started: time.Now()}
		for i := range 1000 {
			now := time.Now().Add(time.Duration(i) * 100 * time.Millisecond)
			require.WithinDuration(t, now, p.believe(now), time.Millisecond)
			time.Sleep(time.Second)
		}
	})
}
