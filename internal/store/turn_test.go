package store

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// What takes something away waits for one change at most, however many others
// wait, and organizations take turns.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newTurns()
		var mu sync.Mutex
		var order []string
		var group sync.WaitGroup
		enter := func(name string, turn Turn) {
			group.Go(func() {
				release, err := q.take(t.Context(), turn)
				if err != nil {
					panic(err)
				}
				mu.Lock()
				order = append(order, name)
				mu.Unlock()
				time.Sleep(time.Second)
				release()
			})
			synctest.Wait()
		}
		for i := range 100 {
			enter(fmt.Sprint("noisy ", i), Turn{OrgID: "noisy"})
		}
		enter("quiet", Turn{OrgID: "quiet"})
		for i := range 3 {
			enter(fmt.Sprint("revocation of noisy ", i), Turn{OrgID: "noisy", First: true})
		}
		enter("revocation", Turn{OrgID: "quiet", First: true})
		group.Wait()
		require.Equal(t, []string{"noisy 0", "revocation of noisy 0"}, order[:2], "one of each kind at once")
		require.Less(t, slices.Index(order, "quiet"), 6, "one of noisy's is in work, and one is next")
		require.Less(t, slices.Index(order, "revocation"), 6,
			"it waits neither for changes nor behind all of noisy's revocations")
		require.Len(t, order, 105)
		for _, turn := range []Turn{{}, {First: true}} {
			began := time.Now()
			_, err := q.take(t.Context(), turn)
			require.NoError(t, err)
			require.Equal(t, began, time.Now(), "nobody is in front any more")
		}
	})
}

func TestTurnsAreGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newTurns()
		release, err := q.take(t.Context(), Turn{OrgID: "a"})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for range 2 {
			_, err = q.take(ctx, Turn{OrgID: "a"})
			require.ErrorIs(t, err, ErrUnavailable)
		}
		release()
		for _, org := range []string{"a", "b"} {
			began := time.Now()
			release, err = q.take(t.Context(), Turn{OrgID: org})
			require.NoError(t, err)
			require.Equal(t, began, time.Now(), "who gives up waits no more")
			release()
		}
	})
}
