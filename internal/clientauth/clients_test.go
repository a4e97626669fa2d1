package clientauth

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

func (f from) Release()               {}
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

// Somebody who asks for a client that is not in memory does not wait in the
// turn of a stranger who has asked for it before and stands in a crowd.
func TestASharedReadWaitsInNobodyElsesTurn(t *testing.T) {
	g := newGuesses(t)
	g.turns = nil
	free := g.busy(t)
	var asking sync.WaitGroup
	ask := func(whose from, id string, secret svcauth.Secret) {
		waits := g.db.Connections().Waits
		asking.Go(func() {
			_, _ = g.Authenticate(limits.WithPlace(context.Background(), whose), &Request{ClientID: id, Secret: secret})
		})
		require.Eventually(t, func() bool { return g.db.Connections().Waits > waits }, 3*time.Second, time.Millisecond,
			"%s waits for a turn of its own", whose)
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

// A client that is read while others change is kept, and one that changes
// itself meanwhile is not.
func TestAReadIsThrownAwayForItsOwnClientOnly(t *testing.T) {
	g := newGuesses(t)
	other := svcauth.NewID(svcauth.PrefixServiceAccount)
	for _, c := range []struct {
		name   string
		change store.Change
		kept   bool
	}{
		{"another client", store.Change{Kind: store.ChangeClient, Subject: other}, true},
		{"the client", store.Change{Kind: store.ChangeClient, Subject: g.client}, false},
		{"its organization", store.Change{Kind: store.ChangeOrg, Subject: "org_1"}, false},
		{"a role", store.Change{Kind: store.ChangeRole, Subject: "role_1"}, false},
		{"the catalogue", store.Change{Kind: store.ChangeCatalog}, false},
	} {
		g.clients.Reset()
		g.clients.load = func(ctx context.Context, id string) (*Client, error) {
			g.clients.Apply([]store.Change{c.change})
			return g.clients.fromStore(ctx, id)
		}
		_, err := g.clients.Get(t.Context(), g.client)
		require.NoError(t, err)
		_, kept := g.clients.cache.GetIfPresent(g.client)
		require.Equal(t, c.kept, kept, c.name)
	}
	require.Empty(t, g.clients.under.reads)
}
