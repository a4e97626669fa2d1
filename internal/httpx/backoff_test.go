package httpx

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBackoff(t *testing.T) {
	b := Backoff{First: 200 * time.Millisecond, Most: 10 * time.Second}
	for _, c := range []struct {
		failures     int
		asked        time.Duration
		least, most  time.Duration
		neverTheSame bool
	}{
		{0, 0, 0, 0, false}, {-1, 0, 0, 0, false}, {0, 4 * time.Second, 4 * time.Second, 6 * time.Second, true},
		{1, 0, 100 * time.Millisecond, 200 * time.Millisecond, true}, {2, 0, 200 * time.Millisecond,
			400 * time.Millisecond, true}, {4, 0, 800 * time.Millisecond, 1600 * time.Millisecond, true},
		{7, 0, 5 * time.Second, 10 * time.Second, true}, {64, 0, 5 * time.Second, 10 * time.Second, true},
		{math.MaxInt, 0, 5 * time.Second, 10 * time.Second, true},
		{1, 7 * time.Second, 7 * time.Second, 10500 * time.Millisecond, true},
		{9, time.Second, 5 * time.Second, 10 * time.Second, true},
	} {
		seen := map[time.Duration]bool{}
		for range 200 {
			wait := b.Wait(c.failures, c.asked)
			require.GreaterOrEqual(t, wait, c.least, c)
			require.LessOrEqual(t, wait, c.most, c)
			seen[wait] = true
		}
		require.Equal(t, c.neverTheSame, len(seen) > 100, c)
	}
}
