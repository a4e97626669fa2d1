package clientauth

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

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
		{"another client", store.Change{Kind: store.ChangeClient, OrgID: "org_1", Subject: other}, true},
		{"another organization", store.Change{Kind: store.ChangeOrg, OrgID: "org_2", Subject: "org_2"}, true},
		{"another's role", store.Change{Kind: store.ChangeRole, OrgID: "org_2", Subject: "role_x"}, true},
		{"the signing keys", store.Change{Kind: store.ChangeKeys}, true},
		{"the client", store.Change{Kind: store.ChangeClient, OrgID: "org_1", Subject: g.client}, false},
		{"its organization", store.Change{Kind: store.ChangeOrg, OrgID: "org_1", Subject: "org_1"}, false},
		{"a role", store.Change{Kind: store.ChangeRole, OrgID: "org_1", Subject: "role_1"}, false},
		{"a role of somebody's", store.Change{Kind: store.ChangeRole, Subject: "role_1"}, false},
		{"the catalogue", store.Change{Kind: store.ChangeCatalog}, false},
	} {
		g.clients.Reset()
		load := g.clients.load
		g.clients.load = func(ctx context.Context, ids []string) (map[string]*store.Credentials, error) {
			rows, err := load(ctx, ids)
			g.clients.Apply([]store.Change{c.change})
			return rows, err
		}
		_, err := g.clients.Get(t.Context(), g.client)
		require.NoError(t, err)
		g.clients.load = load
		before := g.queries.Load()
		_, err = g.clients.Get(t.Context(), g.client)
		require.NoError(t, err)
		require.Equal(t, c.kept, g.queries.Load() == before, c.name)
	}
	require.Empty(t, g.clients.under.reads)
}

// A client that is in memory is read anew once its organization or a role of
// that changes, and else it is not.
func TestAChangeMakesItsOrganizationsClientsBeReadAnew(t *testing.T) {
	g := newGuesses(t)
	reads := func() int64 {
		before := g.queries.Load()
		_, err := g.clients.Get(t.Context(), g.client)
		require.NoError(t, err)
		return g.queries.Load() - before
	}
	require.EqualValues(t, 1, reads())
	require.Zero(t, reads())
	for _, c := range []struct {
		change store.Change
		want   int64
	}{
		{store.Change{Kind: store.ChangeRole, OrgID: "org_1", Subject: "role_3"}, 1},
		{store.Change{Kind: store.ChangeRole, OrgID: "org_2", Subject: "role_3"}, 0},
		{store.Change{Kind: store.ChangeOrg, OrgID: "org_1", Subject: "org_1"}, 1},
		{store.Change{Kind: store.ChangeOrg, OrgID: "org_2", Subject: "org_2"}, 0},
		{store.Change{Kind: store.ChangeCatalog}, 1},
	} {
		g.clients.Apply([]store.Change{c.change})
		require.Equal(t, c.want, reads(), c.change)
		require.Zero(t, reads(), c.change)
	}
}

// Clients that are asked for together are read by one statement, and each is
// told apart from those that there are not.
func TestClientsAreReadTogether(t *testing.T) {
	g := newGuesses(t)
	unknown := svcauth.NewID(svcauth.PrefixServiceAccount)
	network := netip.MustParseAddr("192.0.2.1")
	asked := []clientRead{{id: unknown}, {id: g.client}, {id: "sa_0"}, {g.client, network}, {id: "ak_0"}}
	clients, err := g.clients.read(t.Context(), asked)
	require.NoError(t, err)
	require.EqualValues(t, 1, g.queries.Load())
	for i, client := range clients {
		require.Equal(t, asked[i].id, client.ClientID)
		require.Equal(t, asked[i].id == g.client, client.Known)
		require.Equal(t, asked[i].network, client.rereadFor)
	}
	require.Len(t, clients[1].Secrets, 1)
	require.Len(t, clients[1].Grants, 5)
}

// The roles of an organization are read once for all its clients, and again
// when something of the organization changes; those that nobody holds are not
// read.
func TestRolesAreReadOncePerOrganization(t *testing.T) {
	g := newGuesses(t)
	clients := []string{g.client}
	require.NoError(t, g.db.Write(t.Context(), func(q *store.Q) error {
		for i := range 20 {
			id := svcauth.NewID(svcauth.PrefixServiceAccount)
			clients = append(clients, id)
			if err := q.InsertClient(t.Context(), store.ClientRow{ID: id, OrgID: "org_1",
				Kind: store.ClientServiceAccount, Name: id, CreatedAt: time.Now()}); err != nil {
				return err
			}
			if err := q.PutGrant(t.Context(), store.GrantRow{OrgID: "org_1", PrincipalID: id,
				RoleID: fmt.Sprint("role_", i%5), GrantedAt: time.Now()}); err != nil {
				return err
			}
		}
		return nil
	}))
	reads := func() int64 {
		before := g.queries.Load()
		for _, id := range clients {
			client, err := g.clients.Get(t.Context(), id)
			require.NoError(t, err)
			before++ // for the client itself
			held, _, err := g.clients.Roles(t.Context(), client.Credentials)
			require.NoError(t, err)
			require.Len(t, held, len(client.Grants))
			require.Equal(t, []string{"a:a", "b:b"}, held[0].Privileges)
		}
		return g.queries.Load() - before
	}
	require.EqualValues(t, 1, reads())
	g.clients.Apply([]store.Change{{Kind: store.ChangeRole, OrgID: "org_1", Subject: "role_1"}})
	require.EqualValues(t, 1, reads())
}

// A client whose organization's pol is beyond the one under which a role was
// read needs the role anew: this node has not heard of the change yet.
func TestNoRoleIsOlderThanItsClient(t *testing.T) {
	g := newGuesses(t)
	held := func() []store.HeldRole {
		g.clients.Apply([]store.Change{{Kind: store.ChangeClient, Subject: g.client}})
		client, err := g.clients.Get(t.Context(), g.client)
		require.NoError(t, err)
		roles, _, err := g.clients.Roles(t.Context(), client.Credentials)
		require.NoError(t, err)
		return roles
	}
	for _, r := range held() {
		require.Len(t, r.Privileges, 2)
	}
	ctx := t.Context()
	require.NoError(t, g.db.Write(ctx, func(q *store.Q) error {
		if err := q.RemoveRolePrivilege(ctx, "role_2", "b:b"); err != nil {
			return err
		}
		_, err := q.RaisePolicy(ctx, "org_1")
		return err
	}))
	for _, r := range held() {
		if r.ID == "role_2" {
			require.Equal(t, []string{"a:a"}, r.Privileges)
		}
	}
}
