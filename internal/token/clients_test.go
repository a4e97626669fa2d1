package token

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// from is the place of a request that comes from somewhere.
type from string

func (f from) GiveBack()              {}
func (f from) Await() bool            { return true }
func (f from) Caller() (string, bool) { return string(f), false }

// busy keeps all connections for queries in use until free is called.
func (g *guesses) busy(t *testing.T) (free func()) {
	t.Helper()
	full := errors.New("enough")
	held, done := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	for range readersOfGuesses {
		all.Go(func() {
			_ = g.db.Dump(context.Background(), func(store.DumpedRow) error {
				held <- struct{}{}
				<-done
				return full
			})
		})
		<-held
	}
	free = sync.OnceFunc(func() { close(done); all.Wait() })
	t.Cleanup(free)
	return free
}

// Somebody who asks for a client that is not in memory does not wait in the turn
// of a stranger who has asked for it before and stands in a crowd.
func TestASharedReadWaitsInNobodyElsesTurn(t *testing.T) {
	g := newGuesses(t)
	g.turns = nil
	free := g.busy(t)
	var asking sync.WaitGroup
	ask := func(whose from, id string, secret svcauth.Secret) {
		waits := g.db.Connections().Waits
		asking.Go(func() {
			_, _ = g.Authenticate(limits.WithPlace(context.Background(), whose), Credential{ClientID: id, Secret: secret})
		})
		require.Eventually(t, func() bool { return g.db.Connections().Waits > waits }, 3*time.Second, time.Millisecond, "%s waits for a turn of its own", whose)
	}
	const crowd = 20
	for range crowd {
		ask("stranger", svcauth.NewID(svcauth.PrefixServiceAccount), svcauth.NewSecret())
	}
	ask("stranger", g.client, svcauth.NewSecret())
	ask("right", g.client, g.secret)
	free()
	asking.Wait()
	last := len(g.turns) - slices.Index(reversed(g.turns), "right")
	require.Less(t, last, crowd/2, "the right client was served after %d queries: %v", last, g.turns)
}

func reversed(all []string) []string {
	all = slices.Clone(all)
	slices.Reverse(all)
	return all
}
