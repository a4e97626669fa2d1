package batch

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// While one call is at work, all that come wait for the next: of twenty that
// come at once the first is served alone, and the others eight at a time.
func TestWhoComesMeanwhileSharesTheNextCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		var served atomic.Int64
		c := &Caller[int]{Max: 8, Call: func(_ context.Context, items []int) {
			sizes = append(sizes, len(items)) // one call at a time: no lock
			time.Sleep(time.Second)
			served.Add(int64(len(items)))
		}}
		go func() { _ = c.Do(t.Context(), 0) }()
		synctest.Wait()
		for i := 1; i < 20; i++ {
			go func() { _ = c.Do(t.Context(), i) }()
		}
		synctest.Wait()
		time.Sleep(time.Minute)
		require.Equal(t, []int{1, 8, 8, 3}, sizes)
		require.EqualValues(t, 20, served.Load())

		require.NoError(t, c.Do(t.Context(), 20), "and who comes later is served at once")
		require.Equal(t, []int{1, 8, 8, 3, 1}, sizes)
	})
}

// A caller that goes away does not end the call of the others, and gets the
// error of its own context.
func TestACallerThatGoesAwayEndsNoCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Bool
		c := &Caller[int]{Max: 8, Call: func(ctx context.Context, _ []int) {
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
				ended.Store(true)
			}
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, c.Do(ctx, 1), context.DeadlineExceeded)
		time.Sleep(time.Minute)
		require.True(t, ended.Load())
	})
}
