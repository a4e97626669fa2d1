package server_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// world is one server with somebody of each kind who calls, and things to be
// called about.
type world struct {
	t     *testing.T
	s     *svctest.Server
	admin *svcauth.Client // over HTTP always: it prepares and looks, and is not what is tested
	other people.Tenant

	who  map[string]calls
	role map[string]string // id by name
	made int
}

// newWorld makes one. face says how its callers call.
func newWorld(t *testing.T, opts svctest.Options,
	face func(s *svctest.Server, id string, secret svcauth.Secret) calls) *world {
	s := svctest.New(t, opts)
	t.Cleanup(func() {
		for line := range strings.Lines(s.Log()) {
			if t.Failed() && strings.Contains(line, "\"error\"") {
				t.Log(line)
			}
		}
	})
	w := &world{t: t, s: s, admin: s.Admin(), other: s.NewTenant("other"), who: map[string]calls{},
		role: map[string]string{}}
	for name, privileges := range map[string][]string{
		"viewer": {"clusters:view"}, "editor": {"clusters:view", "clusters:edit"},
		"helpdesk": {"members:read", "members:manage", "roles:manage", "clusters:view"}, "nothing": {},
	} {
		made, err := w.admin.CreateRole(t.Context(), svcauth.NewRole{Name: name, Privileges: privileges})
		require.NoError(t, err)
		w.role[name] = made.ID
	}
	roles, err := w.admin.Roles(t.Context(), svcauth.ListOptions{})
	require.NoError(t, err)
	for _, r := range roles.Items {
		w.role[r.Name] = r.ID
	}
	w.who["admin"] = face(s, s.Tenant.ApplicationKey.ClientID, s.Tenant.ApplicationKey.ClientSecret)
	w.who["tenant"] = face(s, w.other.ApplicationKey.ClientID, w.other.ApplicationKey.ClientSecret)
	_, key := join(t, s, w.admin, "helpdesk@example.com", w.role["helpdesk"])
	w.who["helpdesk"] = face(s, key.ClientID, key.ClientSecret)
	for _, name := range []string{"helpdesk", "Administrator", "nothing"} {
		machine, err := s.App.Access.CreateServiceAccount(s.System(),
			svcauth.NewServiceAccount{Name: "machine " + name, RoleIDs: []string{w.role[name]}})
		require.NoError(t, err)
		w.who["machine "+name] = face(s, machine.ClientID, machine.ClientSecret)
	}
	return w
}

func (w *world) name() string {
	w.made++
	return fmt.Sprintf("thing %d", w.made)
}

// account makes a service account that nobody else touches.
func (w *world) account(roles ...string) svcauth.ServiceAccount {
	n := svcauth.NewServiceAccount{Name: w.name()}
	for _, r := range roles {
		n.RoleIDs = append(n.RoleIDs, w.role[r])
	}
	a, err := w.s.App.Access.CreateServiceAccount(w.s.System(), n)
	require.NoError(w.t, err)
	return a
}

func (w *world) newRole(privileges ...string) svcauth.Role {
	r, err := w.s.App.Access.CreateRole(w.s.System(), svcauth.NewRole{Name: w.name(), Privileges: privileges})
	require.NoError(w.t, err)
	return r
}

func (w *world) member(roles ...string) svcauth.Member {
	var ids []string
	for _, r := range roles {
		ids = append(ids, w.role[r])
	}
	m, _ := join(w.t, w.s, w.admin, strings.ReplaceAll(w.name(), " ", "-")+"@example.com", ids...)
	return m
}

// rule is one call by one caller and how it ends. code empty: it succeeds.
type rule struct {
	who, name, code string
	call            func(context.Context, *world, calls) error
	missing         string // with missing_privileges: the one that is named
	at              string // with invalid: the field that is named
}

func second[T any](_ T, err error) error { return err }

func ptr[T any](v T) *T { return &v }

// The rules of contract §3, asked of package access itself and over HTTP, with
// the same answers.
func TestContractRules(t *testing.T) {
	faces := map[string]func(t *testing.T) func(*svctest.Server, string, svcauth.Secret) calls{
		"direct": func(t *testing.T) func(*svctest.Server, string, svcauth.Secret) calls {
			return func(s *svctest.Server, id string, secret svcauth.Secret) calls { return direct{t, s, id, secret} }
		},
		"http": func(*testing.T) func(*svctest.Server, string, svcauth.Secret) calls {
			return func(s *svctest.Server, id string, secret svcauth.Secret) calls { return s.Client(id, secret) }
		},
	}
	for face, make := range faces {
		t.Run(face, func(t *testing.T) { runRules(t, newWorld(t, svctest.Options{}, make(t))) })
	}
	t.Run("http, PostgreSQL and Redis", func(t *testing.T) {
		runRules(t, newWorld(t, svctest.Options{Postgres: true, RedisURL: redistest.URL(t)}, faces["http"](t)))
	})
}

func runRules(t *testing.T, w *world) {
	for _, r := range slices.Concat(accountRules, secretRules, roleRules, memberRules, operatorRules) {
		t.Run(r.who+" "+r.name, func(t *testing.T) {
			w.t = t
			err := r.call(t.Context(), w, w.who[r.who])
			if r.code == "" {
				require.NoError(t, err)
				return
			}
			var p *svcauth.Problem
			require.True(t, errors.As(err, &p), "got %v", err)
			require.Equal(t, r.code, p.Code, p.Detail)
			require.NotEmpty(t, p.Detail)
			if r.missing != "" {
				require.Contains(t, p.Missing, r.missing)
			}
			if r.at != "" {
				require.NotEmpty(t, p.Errors)
				require.Equal(t, r.at, p.Errors[0].Location)
			}
		})
	}
}

var (
	past   = time.Now().Add(-time.Hour)
	future = time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
)
