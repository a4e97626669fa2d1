package drill_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

// audience is an API of the built-in catalogue; it is where the drill's
// resource servers stand.
const audience = "https://api.cloud.example"

// maxStaleness is how long a resource server of the drill goes on without a
// sign of life from its node.
const maxStaleness = 15 * time.Second

// stack is some nodes on one database and one Redis, and resource servers that
// follow each of them.
type stack struct {
	t      testing.TB
	issuer string
	nodes  []*node
	front  *http.Client
	admin  *svcauth.Client
	// What the first administrator signs in to the console with.
	adminEmail    string
	adminPassword svcauth.Secret
	// The first administrator's application key.
	keyID     string
	keySecret svcauth.Secret

	role       svcauth.Role               // every account has it
	secondRole svcauth.Role               // some are given it, and it is taken from some
	verifiers  []*resourceserver.Verifier // one a node, in the order of nodes
}

// newStack bootstraps the database by the program itself and starts count
// nodes.
func newStack(t testing.TB, count int, database, redis string, environ ...string) *stack {
	t.Helper()
	path, err := program()
	require.NoError(t, err)
	return newStackOf(t, path, count, database, redis, environ...)
}

// newStackOf is [newStack] with another program.
func newStackOf(t testing.TB, path string, count int, database, redis string, environ ...string) *stack {
	t.Helper()
	// nobody listens there: clients reach the nodes by the front
	s := &stack{t: t, issuer: "http://" + freeport.Address(t)}
	environ = append([]string{"SVCAUTH_DATABASE_URL=" + database, "SVCAUTH_REDIS_URL=" + redis, "SVCAUTH_ISSUER=" +
		s.issuer,
		"SVCAUTH_MASTER_KEY_FILE=" + filepath.Join(t.TempDir(), "master.key")}, environ...)
	for range count {
		n := newNode(t, environ...)
		n.path = path
		s.nodes = append(s.nodes, n)
	}
	bootstrap := exec.Command(path, "bootstrap", "-o", "json")
	bootstrap.Env, bootstrap.Dir = s.nodes[0].environ, t.TempDir()
	var complaint bytes.Buffer
	bootstrap.Stderr = &complaint
	out, err := bootstrap.Output()
	require.NoError(t, err, complaint.String())
	var made struct {
		Admin struct {
			Email    string         `json:"email"`
			Password svcauth.Secret `json:"password"`
		} `json:"admin"`
		Key struct {
			ID     string         `json:"client_id"`
			Secret svcauth.Secret `json:"client_secret"`
		} `json:"application_key"`
	}
	require.NoError(t, json.Unmarshal(out, &made))
	s.adminEmail, s.adminPassword = made.Admin.Email, made.Admin.Password
	s.keyID, s.keySecret = made.Key.ID, made.Key.Secret
	for _, n := range s.nodes {
		n.start()
	}
	for _, n := range s.nodes {
		n.awaitReady()
	}
	s.front = &http.Client{Transport: newFront(t.Context(), s.nodes), Timeout: 15 * time.Second}
	s.admin, err = svcauth.NewClient(svcauth.ClientConfig{URL: s.issuer,
		HTTPClient: &http.Client{Transport: s.source(made.Key.ID,
			made.Key.Secret).Transport(s.front.Transport)}, MaxRetries: -1})
	require.NoError(t, err)
	s.role, err = s.admin.CreateRole(t.Context(),
		svcauth.NewRole{Name: "Drill", Privileges: []string{"clusters:view", "clusters:edit"}})
	require.NoError(t, err)
	s.secondRole, err = s.admin.CreateRole(t.Context(),
		svcauth.NewRole{Name: "Drill, second", Privileges: []string{"clusters:suspend"}})
	require.NoError(t, err)
	s.follow()
	return s
}

// source fetches tokens for the server itself, through the front.
func (s *stack) source(id string, secret svcauth.Secret) *tokensource.Source {
	s.t.Helper()
	tokens, err := tokensource.New(tokensource.Config{TokenURL: s.issuer + "/oauth2/token", ClientID: id,
		ClientSecret: secret, HTTPClient: s.front,
		Resource: []string{s.issuer}})
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = tokens.Close() })
	return tokens
}

// follow starts a resource server beside each node.
func (s *stack) follow() {
	s.t.Helper()
	ctx := s.t.Context()
	reader, err := s.admin.CreateRole(ctx,
		svcauth.NewRole{Name: "Resource server " + svcauth.NewID("x"), Privileges: []string{svcauth.TokensIntrospect}})
	require.NoError(s.t, err)
	account, err := s.admin.CreateServiceAccount(ctx,
		svcauth.NewServiceAccount{Name: "resource server " + svcauth.NewID("x"), RoleIDs: []string{reader.ID}})
	require.NoError(s.t, err)
	tokens := s.source(account.ClientID, account.ClientSecret)
	for _, n := range s.nodes {
		v, err := resourceserver.New(resourceserver.Config{Issuer: s.issuer, Audience: audience,
			HTTPClient: pinnedTo(n), MaxStaleness: maxStaleness, KeyRefresh: 5 * time.Second,
			Feed: &resourceserver.Feed{Token: tokens.BearerToken, Drop: tokens.Drop}})
		require.NoError(s.t, err)
		s.t.Cleanup(func() { _ = v.Close() })
		require.NoError(s.t, v.Ready(ctx))
		s.verifiers = append(s.verifiers, v)
	}
}
