package app_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// The master key is changed as deploy/docs/upgrade.md says, by three rolling
// restarts of two nodes. At each moment either node takes what the other
// issues, hashes or seals.
func TestTheMasterKeyIsChangedWithoutDownTime(t *testing.T) {
	dir := t.TempDir()
	before, after := filepath.Join(dir, "old"), filepath.Join(dir, "new")
	fresh := make([]byte, 32)
	_, _ = rand.Read(fresh)
	require.NoError(t, os.WriteFile(after, fresh, 0o600))
	s := svctest.New(t, svctest.Options{Postgres: true, Redis: true,
		Environ: []string{"SVCAUTH_MASTER_KEY_FILE=" + before}})
	account := s.Account("ci", "clusters:view")
	first := s.Token(account.ClientID, account.ClientSecret, "")
	nodes := []*svctest.Server{s, s.Node()}
	for _, step := range []struct{ master, previous string }{{before, after}, {after, before}, {after, ""}} {
		for i, n := range nodes {
			n.Stop()
			other := nodes[1-i]
			require.NotEmpty(t, other.Token(account.ClientID, account.ClientSecret, ""), "the other node goes on")
			// What it seals now must be opened by all that start later.
			_, err := other.Admin().RotateSigningKeys(t.Context(), svcauth.KeyRotation{})
			require.NoError(t, err)
			n.Set("SVCAUTH_MASTER_KEY_FILE="+step.master, "SVCAUTH_MASTER_KEY_PREVIOUS_FILE="+step.previous)
			n.Start()
			bothTakeEachOthers(t, nodes, account)
		}
	}
	for _, n := range nodes {
		require.True(t, n.Active(account.ClientID, account.ClientSecret, first), "a token from before lives on")
	}
	require.NotEmpty(t, masterKeyChanges(t, s))
}

// masterKeyChanges returns what the operator's administrator reads in its log
// about changes of the master key.
func masterKeyChanges(t *testing.T, s *svctest.Server) []svcauth.AuditEvent {
	t.Helper()
	events, err := s.Admin().AuditEvents(t.Context(), svcauth.AuditFilter{Action: "master_key.change"})
	require.NoError(t, err)
	return events.Items
}

// A change of the master key stands in the operator's log once: a start with
// the same one leaves nothing.
func TestAChangeOfTheMasterKeyIsAudited(t *testing.T) {
	dir := t.TempDir()
	before, after := filepath.Join(dir, "old"), filepath.Join(dir, "new")
	fresh := make([]byte, 32)
	_, _ = rand.Read(fresh)
	require.NoError(t, os.WriteFile(after, fresh, 0o600))
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_MASTER_KEY_FILE=" + before}})
	tenant := s.NewTenant("tenant")
	restart := func(environ ...string) {
		s.Stop()
		s.Set(environ...)
		s.Start()
	}
	restart()
	restart("SVCAUTH_MASTER_KEY_PREVIOUS_FILE=" + after)
	require.Empty(t, masterKeyChanges(t, s), "nothing was sealed anew")
	keys, err := s.Admin().SigningKeys(t.Context())
	require.NoError(t, err)
	restart("SVCAUTH_MASTER_KEY_FILE="+after, "SVCAUTH_MASTER_KEY_PREVIOUS_FILE="+before)
	restart()
	restart("SVCAUTH_MASTER_KEY_PREVIOUS_FILE=")
	changes := masterKeyChanges(t, s)
	require.Len(t, changes, 1)
	require.Equal(t, svcauth.AuditTarget{Kind: "master_key"}, changes[0].Target)
	require.Equal(t, svcauth.KindSystem, changes[0].Actor.Kind)
	require.Equal(t, svcauth.OutcomeDone, changes[0].Outcome)
	require.JSONEq(t, fmt.Sprintf(`{"keys_sealed":%d}`, len(keys.Items)+1), string(changes[0].After),
		"the signing keys, and the key of secrets")
	raw, err := os.ReadFile(before)
	require.NoError(t, err)
	require.NotContains(t, s.Log()+fmt.Sprintf("%+v", changes), base64.StdEncoding.EncodeToString(raw))
	theirs, err := s.AdminOf(tenant).AuditEvents(t.Context(), svcauth.AuditFilter{Action: "master_key.change"})
	require.NoError(t, err)
	require.Empty(t, theirs.Items, "it is the operator's")
}

func bothTakeEachOthers(t *testing.T, nodes []*svctest.Server, account svcauth.ServiceAccount) {
	t.Helper()
	for i, n := range nodes {
		other := nodes[1-i]
		token := n.Token(account.ClientID, account.ClientSecret, "")
		require.True(t, other.Active(account.ClientID, account.ClientSecret, token))
		second, err := n.App.Access.CreateSecret(n.System(), account.ID, svcauth.NewSecretRequest{})
		require.NoError(t, err)
		require.NotEmpty(t, other.Token(account.ClientID, second.ClientSecret, ""))
		require.NoError(t, n.App.Access.DeleteSecret(n.System(), account.ID, second.ID, false))
	}
}

// A node that remembers a client reads it again before it calls a secret wrong.
// A secret that another node made a moment ago works at once, even without
// Redis.
func TestASecretWorksAtEveryNodeAtOnce(t *testing.T) {
	one := svctest.New(t, svctest.Options{Postgres: true})
	two := one.Node()
	account := one.Account("ci", "clusters:view")
	two.Token(account.ClientID, account.ClientSecret, "")
	second, err := one.App.Access.CreateSecret(one.System(), account.ID, svcauth.NewSecretRequest{})
	require.NoError(t, err)
	two.Token(account.ClientID, second.ClientSecret, "")
}
