package store_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
)

func TestSessions(t *testing.T) {
	onBoth(t, func(t *testing.T, o *tables) {
		ctx, sessions, token := context.Background(), o.Sessions(), strings.Repeat("t", 43)
		_, found, err := sessions.FindCtx(ctx, token)
		require.NoError(t, err)
		require.False(t, found)
		require.NoError(t, sessions.CommitCtx(ctx, token, []byte("one"), time.Now().Add(time.Hour)))
		require.NoError(t, sessions.CommitCtx(ctx, token, []byte("two"), time.Now().Add(time.Hour)))
		data, found, err := sessions.FindCtx(ctx, token)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, "two", string(data))
		require.NoError(t, sessions.CommitCtx(ctx, token, []byte("old"), time.Now().Add(-time.Second)))
		_, found, err = sessions.FindCtx(ctx, token)
		require.NoError(t, err)
		require.False(t, found, "it has expired")
		require.NoError(t, sessions.DeleteCtx(ctx, token))
		require.NoError(t, sessions.DeleteCtx(ctx, token))
	})
}

// A session ends once, whoever else asks for that at the same time, and no
// request that has read it before brings it back.
func TestASessionEndsOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, o *tables) {
		ctx, sessions, token := context.Background(), o.Sessions(), strings.Repeat("t", 43)
		soon := time.Now().Add(time.Hour)
		end := func(token string) (ended bool) {
			require.NoError(t, o.WriteAside(ctx, func(q *store.Q) (err error) {
				ended,
					err = q.EndSession(ctx, token)
				return err
			}))
			return ended
		}
		require.NoError(t, sessions.CommitCtx(ctx, token, []byte("one"), soon))
		var ends atomic.Int32
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				if end(token) {
					ends.Add(1)
				}
			})
		}
		group.Wait()
		require.EqualValues(t, 1, ends.Load())
		require.NoError(t, sessions.CommitCtx(ctx, token, []byte("again"), soon))
		_, found, err := sessions.FindCtx(ctx, token)
		require.NoError(t, err)
		require.False(t, found)
		require.False(t, end(token))
		require.False(t, end("another"))
		require.NoError(t, sessions.CommitCtx(ctx, "old", []byte("one"), time.Now().Add(-time.Second)))
		require.False(t, end("old"), "it has ended by itself")
	})
}

func TestOnceIsTrueOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, o *tables) {
		ctx, sessions := context.Background(), o.Sessions()
		results := make(chan bool, 8)
		for range 8 {
			go func() {
				first, err := sessions.Once(ctx, "form", time.Now().Add(time.Hour))
				results <- err == nil && first
			}()
		}
		firsts := 0
		for range 8 {
			if <-results {
				firsts++
			}
		}
		require.Equal(t, 1, firsts)
		_, found, err := sessions.FindCtx(ctx, "form")
		require.NoError(t, err)
		require.False(t, found, "what is remembered of a form is no session")
	})
}
