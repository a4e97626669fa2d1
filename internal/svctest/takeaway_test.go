package svctest_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestWhatTakingAwayDoes takes something away through the API at one node, and
// asks about real tokens at that node at once, at another one within moments,
// and in the feed: what carries it is dead, what does not lives on.
func TestWhatTakingAwayDoes(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		s := svctest.New(t, svctest.Options{})
		takeAway(t, s, s)
	})
	t.Run("postgresql, redis, two nodes", func(t *testing.T) {
		s := svctest.New(t, svctest.Options{Postgres: true, Redis: true})
		takeAway(t, s, s.Node())
	})
}

// victim is an account with two roles of its own.
type victim struct {
	svcauth.ServiceAccount
	viewer, editor svcauth.Role
}

type taking struct {
	name string
	do   func(*testing.T, *svcauth.Client, victim)
	live string // the scope with which a token of before lives on; empty: none does
}

var takings = []taking{
	{"disable", func(t *testing.T, c *svcauth.Client, v victim) {
		yes := true
		_, err := c.UpdateServiceAccount(t.Context(), v.ID, 0, svcauth.ServiceAccountPatch{Disabled: &yes}, 0)
		require.NoError(t, err)
	}, ""},
	{"remove", func(t *testing.T, c *svcauth.Client, v victim) {
		_, err := c.DeleteServiceAccount(t.Context(), v.ID, 0)
		require.NoError(t, err)
	}, ""},
	{"delete the secret with its tokens", func(t *testing.T, c *svcauth.Client, v victim) {
		_, err := c.DeleteSecret(t.Context(), v.ID, v.Secrets[0].ID, true, 0)
		require.NoError(t, err)
	}, ""},
	{"delete the secret", func(t *testing.T, c *svcauth.Client, v victim) {
		_, err := c.DeleteSecret(t.Context(), v.ID, v.Secrets[0].ID, false, 0)
		require.NoError(t, err)
	}, "clusters:edit clusters:view"},
	{"unassign a role", func(t *testing.T, c *svcauth.Client, v victim) {
		_, err := c.UnassignServiceAccountRole(t.Context(), v.ID, v.editor.ID, "", 0)
		require.NoError(t, err)
	}, "clusters:view"}, // a narrowed token carries only the roles behind its privileges
	{"take a privilege off a role", func(t *testing.T, c *svcauth.Client, v victim) {
		_, err := c.UpdateRole(t.Context(), v.editor.ID, 0, svcauth.RolePatch{Privileges: &[]string{}}, 0)
		require.NoError(t, err)
	}, "clusters:view"},
	{"delete a role", func(t *testing.T, c *svcauth.Client, v victim) {
		_, err := c.DeleteRole(t.Context(), v.editor.ID, 0)
		require.NoError(t, err)
	}, "clusters:view"},
	{"rename a role", func(t *testing.T, c *svcauth.Client, v victim) {
		name := v.editor.Name + " renamed"
		_, err := c.UpdateRole(t.Context(), v.editor.ID, 0, svcauth.RolePatch{Name: &name}, 0)
		require.NoError(t, err)
	}, "clusters:view"},
	{"revoke all", func(t *testing.T, c *svcauth.Client, v victim) {
		_, err := c.RevokeTokens(t.Context(), v.ID, 0)
		require.NoError(t, err)
	}, ""},
	{"revoke one", func(t *testing.T, c *svcauth.Client, v victim) {
		for token, err := range listed(t, c, v.ID) {
			require.NoError(t, err)
			_, err = c.RevokeToken(t.Context(), v.ID, token.JTI, 0)
			require.NoError(t, err)
		}
	}, ""},
	{"give a role, add to a role, rename the account", func(t *testing.T, c *svcauth.Client, v victim) {
		role, err := c.CreateRole(t.Context(),
			svcauth.NewRole{Name: "Alarms of " + v.Name, Privileges: []string{"clusters:create"}})
		require.NoError(t, err)
		_, err = c.AssignServiceAccountRole(t.Context(), v.ID, role.ID, svcauth.GrantRequest{})
		require.NoError(t, err)
		_, err = c.UpdateRole(t.Context(), v.editor.ID, 0,
			svcauth.RolePatch{Privileges: &[]string{"clusters:edit", "clusters:create"}}, 0)
		require.NoError(t, err)
		name := v.Name + " renamed"
		_, err = c.UpdateServiceAccount(t.Context(), v.ID, 0, svcauth.ServiceAccountPatch{Name: &name}, 0)
		require.NoError(t, err)
	}, "clusters:edit clusters:view"},
}

func takeAway(t *testing.T, here, there *svctest.Server) {
	admin := here.Admin()
	watcher := here.Account("watcher", svcauth.TokensIntrospect)
	bystander := here.Account("bystander", "clusters:view", "clusters:edit")
	others := here.Token(bystander.ClientID, bystander.ClientSecret, "")
	active := func(s *svctest.Server, token string) bool {
		return s.Active(watcher.ClientID, watcher.ClientSecret, token)
	}
	for _, take := range takings {
		t.Run(take.name, func(t *testing.T) {
			v := newVictim(t, admin, take.name)
			scopes := []string{"clusters:edit clusters:view", "clusters:view"}
			tokens := map[string]string{}
			for _, scope := range scopes {
				tokens[scope] = there.Token(v.ClientID, v.ClientSecret, scope)
				require.True(t, active(here, tokens[scope]))
			}
			if take.name == "revoke one" { // its record is carried to Redis off the path
				require.Eventually(t, func() bool {
					list, err := admin.Tokens(t.Context(), v.ID, svcauth.ListOptions{})
					return err == nil && len(list.Items) == len(scopes)
				}, 30*time.Second, 50*time.Millisecond)
			}
			take.do(t, admin, v)
			feed := following(t, here, here.Token(watcher.ClientID, watcher.ClientSecret, ""))
			for _, scope := range scopes {
				lives := take.live == scope || take.live == scopes[0]
				token := tokens[scope]
				require.Equal(t, lives, active(here, token), "at this node, at once: %s", scope)
				require.Eventually(t, func() bool { return active(there, token) == lives }, 30*time.Second,
					20*time.Millisecond, "at the other node: %s", scope)
				_, revoked := feed.Revoked(claims(t, token))
				require.Equal(t, !lives, revoked, "in the feed: %s", scope)
			}
			require.True(t, active(here, others))
			_, revoked := feed.Revoked(claims(t, others))
			require.False(t, revoked)
		})
	}
}

func newVictim(t *testing.T, admin *svcauth.Client, name string) (v victim) {
	t.Helper()
	var err error
	v.viewer, err = admin.CreateRole(t.Context(),
		svcauth.NewRole{Name: "Viewer, " + name, Privileges: []string{"clusters:view"}})
	require.NoError(t, err)
	v.editor, err = admin.CreateRole(t.Context(),
		svcauth.NewRole{Name: "Editor, " + name, Privileges: []string{"clusters:edit"}})
	require.NoError(t, err)
	v.ServiceAccount, err = admin.CreateServiceAccount(t.Context(),
		svcauth.NewServiceAccount{Name: name, RoleIDs: []string{v.viewer.ID, v.editor.ID}})
	require.NoError(t, err)
	return v
}

func listed(t *testing.T, c *svcauth.Client, accountID string) iter.Seq2[svcauth.LiveToken, error] {
	page := func(ctx context.Context, o svcauth.ListOptions) (svcauth.List[svcauth.LiveToken], error) {
		return c.Tokens(ctx, accountID, o)
	}
	return svcauth.All(t.Context(), page, svcauth.ListOptions{})
}

// following reads the feed as a resource server that starts now does.
func following(t *testing.T, s *svctest.Server, bearer string) *verify.RevocationSet {
	t.Helper()
	answer := s.Get("/oauth2/revocations", bearer)
	require.Equal(t, 200, answer.Status, answer.Text)
	var body struct{ Revocations []svcauth.Revocation }
	require.NoError(t, json.Unmarshal([]byte(answer.Text), &body))
	set := verify.NewRevocationSet()
	set.Add(body.Revocations...)
	return set
}

// claims reads a token that this test has fetched itself; nobody needs to check
// its signature.
func claims(t *testing.T, token string) *verify.Claims {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	require.NoError(t, err)
	var c struct {
		JTI      string
		ClientID string `json:"client_id"`
		OrgID    string `json:"org_id"`
		Scope    string
		Cred     string
		Roles    []string
		Epoch    int64
		Pol      int64
	}
	require.NoError(t, json.Unmarshal(payload, &c))
	return &verify.Claims{JTI: c.JTI, ClientID: c.ClientID, OrgID: c.OrgID, Scope: c.Scope, Cred: c.Cred,
		Roles: c.Roles, Epoch: c.Epoch, Policy: c.Pol}
}
