package token_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/internal/token"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// staleNode is a node that hears of changes when the test lets it. Everybody
// else has heard of each at once: what Fixture.Live does not deny lives on.
type staleNode struct {
	*rules.Fixture
	clients *clientauth.Authenticator
	tokens  *token.Service
	seen    int64
}

func newStaleNode(t *testing.T) *staleNode {
	n := &staleNode{Fixture: rules.New(t, nil)}
	clients := clientauth.NewClients(clientauth.ClientsConfig{
		Store: n.Store, ChangeLog: neverBehind{}, Clock: n.Clock.Now,
	})
	n.clients = clientauth.New(clientauth.Config{
		Methods: clientauth.Methods(n.Keyring), Clients: clients, Store: n.Store, Cache: n.Cache, Audit: n.Audit,
		Clock: n.Clock.Now, Logger: slog.New(slog.DiscardHandler),
	})
	var err error
	n.tokens, err = token.New(token.Config{
		Store: n.Store, Clients: clients, Keyring: n.Keyring, Cache: n.Cache, Revocations: n.Live,
		Issuer: rules.Issuer, TTL: time.Hour, Clock: n.Clock.Now, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	n.hear()
	return n
}

type neverBehind struct{}

func (neverBehind) Behind() time.Duration { return 0 }

// hear has the node read the change log.
func (n *staleNode) hear() {
	entries, err := n.Store.Read().Changes(n.T.Context(), n.seen, 10_000)
	require.NoError(n.T, err)
	if len(entries) > 0 {
		n.seen = entries[len(entries)-1].Seq
		n.tokens.Apply(n.T.Context(), entries)
	}
}

// forget has the node read everything anew.
func (n *staleNode) forget() { n.tokens.Reset(n.T.Context(), n.seen) }

// ask returns what the token of a client carries; nil: it got none. Once the
// node has put so many queries, meanwhile is called, and if it puts fewer, at
// the end.
func (n *staleNode) ask(c holds, queries int, meanwhile func()) *verify.Claims {
	put := 0
	n.Called = func() {
		if put++; put == queries {
			n.Called = nil
			meanwhile()
		}
	}
	ctx := n.T.Context()
	claims := func() *verify.Claims {
		client, refusal := n.clients.Authenticate(ctx, &clientauth.Request{ClientID: c.client, Secret: c.secret})
		if refusal != nil {
			return nil
		}
		answer, refusal := n.tokens.Issue(ctx, client, token.Request{GrantType: "client_credentials"})
		if refusal != nil {
			return nil
		}
		return read(n.T, answer.AccessToken)
	}()
	if n.Called != nil {
		n.Called = nil
		meanwhile()
	}
	return claims
}

// read returns the claims of a token by which it may be denied.
func read(t *testing.T, text string) *verify.Claims {
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(text, ".")[1])
	require.NoError(t, err)
	var c struct {
		ClientID string   `json:"client_id"`
		Scope    string   `json:"scope"`
		Roles    []string `json:"roles"`
		OrgID    string   `json:"org_id"`
		Epoch    int64    `json:"epoch"`
		Policy   int64    `json:"pol"`
		Cred     string   `json:"cred"`
		JTI      string   `json:"jti"`
	}
	require.NoError(t, json.Unmarshal(payload, &c))
	return &verify.Claims{ClientID: c.ClientID, Scope: c.Scope, Roles: c.Roles, OrgID: c.OrgID, Epoch: c.Epoch,
		Policy: c.Policy, Cred: c.Cred, JTI: c.JTI}
}

// holds is a client with what it holds at first: rules.View by one role alone,
// and something else by another.
type holds struct {
	client, org, member string
	secret              svcauth.Secret
	secretID            string
	role, other         svcauth.Role
	admin               context.Context // of the organization
}

// taking takes something away from a client. What it leaves of the client's
// tokens is said by the one function that is there: without all, the client is
// left without the privilege rules.View.
type taking struct {
	name string
	of   func(n *staleNode, name string) holds // default: an account of the operator's organization
	do   func(n *staleNode, c holds) error
	all  bool                        // no token at all, of those so far
	lost func(c *verify.Claims) bool // default: it lacks rules.View
	back func(n *staleNode) error    // makes good what others need
}

func (n *staleNode) account(name string) holds {
	return n.accountOf(n.Admin(), n.OrgID(), name)
}

func (n *staleNode) accountOf(admin context.Context, org, name string) holds {
	h := holds{org: org, admin: admin}
	for at, role := range map[*svcauth.Role]svcauth.NewRole{
		&h.role:  {Name: "Views " + name, Privileges: []string{rules.View}},
		&h.other: {Name: "Edits " + name, Privileges: []string{rules.Edit}},
	} {
		made, err := n.Access.CreateRole(admin, role)
		require.NoError(n.T, err)
		*at = made
	}
	account, err := n.Access.CreateServiceAccount(admin,
		svcauth.NewServiceAccount{Name: name, RoleIDs: []string{h.role.ID, h.other.ID}})
	require.NoError(n.T, err)
	h.client, h.secret, h.secretID = account.ClientID, account.ClientSecret, account.Secrets[0].ID
	return h
}

func (n *staleNode) tenant(name string) holds {
	tenant, admin := n.Tenants(name)
	return n.accountOf(admin, tenant.Organization.ID, name)
}

// key is an application key of a member.
func (n *staleNode) key(name string) holds {
	h := n.account(name)
	var ctx context.Context
	h.member, ctx = n.Member(name+"@example.com", h.role, h.other)
	key, err := n.Access.CreateApplicationKey(ctx, svcauth.NewApplicationKey{})
	require.NoError(n.T, err)
	h.client, h.secret = key.ClientID, key.ClientSecret
	return h
}

// administrator is an account that holds all there is.
func (n *staleNode) administrator(name string) holds {
	h := n.account(name)
	_, err := n.Access.AssignServiceAccountRole(h.admin, h.client, n.System(h.org, store.RoleAdministrator).ID,
		svcauth.GrantRequest{})
	require.NoError(n.T, err)
	return h
}

func (n *staleNode) catalogue(privileges ...string) error {
	var all []svcauth.Privilege
	for _, p := range privileges {
		all = append(all, svcauth.Privilege{Name: p, API: "https://api.example.com"})
	}
	_, err := n.Access.ApplyCatalog(n.T.Context(), []svcauth.API{{Audience: "https://api.example.com", Name: "Cloud"}},
		all, true)
	return err
}

func (n *staleNode) withoutView(holds) error { return n.catalogue(rules.Edit, rules.Create) }
func (n *staleNode) withView() error         { return n.catalogue(rules.View, rules.Edit, rules.Create) }

func (n *staleNode) refuse(c holds, keys bool) error {
	patch := svcauth.OrganizationPatch{Confirm: true}
	refused := svcauth.SharedSecretsRefused
	if patch.SharedSecrets = &refused; keys {
		refused := svcauth.ApplicationKeysRefused
		patch.SharedSecrets, patch.ApplicationKeys = nil, &refused
	}
	_, err := n.Access.UpdateOrganization(c.admin, 0, patch)
	return err
}

var takings = []taking{
	{name: "a role from the account", do: func(n *staleNode, c holds) error {
		return n.Access.UnassignServiceAccountRole(c.admin, c.client, c.role.ID, "")
	}},
	{name: "a privilege off the role", do: func(n *staleNode, c holds) error {
		_, err := n.Access.UpdateRole(c.admin, c.role.ID, 0, svcauth.RolePatch{Privileges: &[]string{rules.Create}})
		return err
	}},
	{name: "the role itself", do: func(n *staleNode, c holds) error { return n.Access.DeleteRole(c.admin, c.role.ID) }},
	{name: "the role's name", do: func(n *staleNode, c holds) error {
		name := "Renamed " + c.role.Name
		_, err := n.Access.UpdateRole(c.admin, c.role.ID, 0, svcauth.RolePatch{Name: &name})
		return err
	}, lost: func(c *verify.Claims) bool {
		return !slices.ContainsFunc(c.Roles, func(r string) bool { return strings.HasPrefix(r, "Views ") })
	}},
	{name: "a privilege out of the catalogue", do: (*staleNode).withoutView, back: (*staleNode).withView},
	{name: "a privilege out of the catalogue, from Administrator", of: (*staleNode).administrator,
		do: (*staleNode).withoutView, back: (*staleNode).withView},
	{name: "a role from the member of an application key", of: (*staleNode).key, do: func(n *staleNode, c holds) error {
		return n.Access.UnassignMemberRole(c.admin, c.member, c.role.ID, "")
	}},
	{name: "all, by suspending the member", of: (*staleNode).key, all: true, do: func(n *staleNode, c holds) error {
		suspended := true
		_, err := n.People.UpdateMember(c.admin, c.member, 0, svcauth.MemberPatch{Suspended: &suspended})
		return err
	}},
	{name: "all, by disabling the account", all: true, do: func(n *staleNode, c holds) error {
		disabled := true
		_, err := n.Access.UpdateServiceAccount(c.admin, c.client, 0, svcauth.ServiceAccountPatch{Disabled: &disabled})
		return err
	}},
	{name: "all, by deleting the account", all: true, do: func(n *staleNode, c holds) error {
		return n.Access.DeleteServiceAccount(c.admin, c.client)
	}},
	{name: "all, by deleting the secret", all: true, do: func(n *staleNode, c holds) error {
		if _, err := n.Access.CreateSecret(c.admin, c.client, svcauth.NewSecretRequest{}); err != nil {
			return err
		}
		return n.Access.DeleteSecret(c.admin, c.client, c.secretID, true)
	}},
	{name: "all that isn't bound, by demanding it of the account", all: true, do: func(n *staleNode, c holds) error {
		dpop := svcauth.TokenBindingDPoP
		_, err := n.Access.UpdateServiceAccount(c.admin, c.client, 0, svcauth.ServiceAccountPatch{TokenBinding: &dpop})
		return err
	}},
	{name: "all that isn't bound, by demanding it for a role", all: true, do: func(n *staleNode, c holds) error {
		yes := true
		_, err := n.Access.UpdateRole(c.admin, c.role.ID, 0, svcauth.RolePatch{RequiresBinding: &yes})
		return err
	}},
	{name: "all that isn't bound, of an application key", of: (*staleNode).key, all: true,
		do: func(n *staleNode, c holds) error {
			yes := true
			_, err := n.Access.UpdateRole(c.admin, c.role.ID, 0, svcauth.RolePatch{RequiresBinding: &yes})
			return err
		}},
	{name: "all, by refusing secrets", of: (*staleNode).tenant, all: true, do: func(n *staleNode, c holds) error {
		return n.refuse(c, false)
	}},
	{name: "all, by deleting the organization", of: (*staleNode).tenant, all: true,
		do: func(n *staleNode, c holds) error { return n.Access.DeleteOrganization(n.Admin(), c.org) }},
	// What denies tokens of an older pol makes an older entry about the client
	// superfluous.
	{name: "a role, then all older tokens of the organization", of: (*staleNode).tenant,
		do: func(n *staleNode, c holds) error {
			return errors.Join(n.Access.UnassignServiceAccountRole(c.admin, c.client, c.role.ID, ""), n.refuse(c, true))
		}},
}

// Whatever is taken away while a token is being made, by this node or by one
// of which this one has not heard yet: the token lacks it, or is born revoked.
// So are those that follow; and once the node has heard, it makes good ones
// again.
func TestNoTokenOutlivesWhatWasTakenMeanwhile(t *testing.T) {
	n := newStaleNode(t)
	const most = 5 // more queries than one request puts
	for i, taken := range takings {
		for run := range (most + 1) * 2 * 3 {
			queries, heard, warm := run%(most+1), run/(most+1)%2 == 1, run/(most+1)/2
			n.taken(taken, fmt.Sprintf("client-%d-%d", i, run), queries, heard, warm)
		}
	}
}

// taken is one run. warm says what the node remembers at first: nothing, the
// roles (another client has just asked), the client too.
func (n *staleNode) taken(what taking, name string, queries int, heard bool, warm int) {
	if what.of == nil {
		what.of = (*staleNode).account
	}
	lost := what.lost
	if lost == nil {
		lost = func(c *verify.Claims) bool { return !c.Has(rules.View) }
	}
	if what.all {
		lost = func(*verify.Claims) bool { return false }
	}
	c := what.of(n, name)
	n.hear()
	n.forget()
	nothing := func() {}
	if warm > 0 {
		whole := n.ask(c, 0, nothing)
		require.NotNil(n.T, whole)
		require.False(n.T, lost(whole) && !what.all, "at first it has all")
		n.Lives(whole)
	}
	if warm == 1 {
		n.tokens.Apply(n.T.Context(), []store.Change{{Kind: store.ChangeClient, OrgID: c.org, Subject: c.client}})
	}
	take := func() {
		require.NoError(n.T, what.do(n, c))
		if heard {
			n.hear()
		}
	}
	if queries == 0 {
		take()
	}
	at := fmt.Sprintf("%s: taken after %d queries, heard: %v, in memory: %d", what.name, queries, heard, warm)
	safe := func(claims *verify.Claims) {
		if claims != nil && !lost(claims) {
			_, revoked := n.Live.Revoked(claims)
			require.True(n.T, revoked, "%s: %+v lives on", at, claims)
		}
	}
	if queries == 0 {
		safe(n.ask(c, 0, nothing))
	} else {
		safe(n.ask(c, queries, take))
	}
	safe(n.ask(c, 0, nothing))
	n.hear()
	after := n.ask(c, 0, nothing)
	if what.all {
		require.Nil(n.T, after, at)
	} else {
		require.NotNil(n.T, after, at)
		require.True(n.T, lost(after), "%s: %+v", at, after)
		_, revoked := n.Live.Revoked(after)
		require.False(n.T, revoked, "%s: %+v is revoked", at, after)
	}
	if what.back != nil {
		require.NoError(n.T, what.back(n))
		n.hear()
	}
}
