package bench_test

import (
	"crypto/rand"
	mathrand "math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// scaleVariable says how many service accounts PostgreSQL is filled with;
// without it there are 100,000, as in SQLite.
const scaleVariable = "BENCH_SCALE"

const fewAccounts = 1000

// BenchmarkScale compares what calls cost in an organization of 1,000 service
// accounts and in a large one, in turn, and prints the ratio of the medians:
// none may be above 3. -benchtime 1x is enough: each call is made 200 times by
// itself.
//
//	SVCAUTH_TEST_SERVICES=1 BENCH_SCALE=1000000 \
//	    go test -run '^$' -bench Scale -benchtime 1x -timeout 60m -v \
//	    ./internal/bench/
func BenchmarkScale(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) {
		compare(b, 100_000, func(b *testing.B) string { return "sqlite://" + filepath.Join(b.TempDir(), "svcauth.db") })
	})
	b.Run("postgresql", func(b *testing.B) {
		compare(b, scale(b), func(b *testing.B) string { return pgtest.URL(b) })
	})
}

func compare(b *testing.B, many int, url func(*testing.B) string) {
	small, large := seeded(b, url(b), fewAccounts), seeded(b, url(b), many)
	for _, call := range scaleCalls {
		b.Run(call.name, func(b *testing.B) {
			for b.Loop() {
				few, lots := medians(b, small, large, call)
				b.ReportMetric(float64(lots)/float64(few), "ratio")
				b.ReportMetric(float64(few.Microseconds()), "µs-at-1000")
				b.ReportMetric(float64(lots.Microseconds()), "µs-at-"+strconv.Itoa(many))
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

func medians(b *testing.B, small, large *organization, call scaleCall) (few, lots time.Duration) {
	const rounds = 200
	var ofSmall, ofLarge []time.Duration
	for i := range rounds + 10 {
		for _, o := range []*organization{small, large} {
			prepared := ""
			if call.prepare != nil {
				prepared = call.prepare(b, o)
			}
			began := time.Now()
			err := call.do(o, prepared)
			took := time.Since(began)
			require.NoError(b, err, call.name)
			if i < 10 { // caches warm up
				continue
			}
			if o == small {
				ofSmall = append(ofSmall, took)
			} else {
				ofLarge = append(ofLarge, took)
			}
		}
	}
	slices.Sort(ofSmall)
	slices.Sort(ofLarge)
	return ofSmall[rounds/2], ofLarge[rounds/2]
}

// scaleCall is a call that is measured. prepare makes what it is about, outside
// the measured time; nil: an account that is there, anyhow.
type scaleCall struct {
	name    string
	prepare func(*testing.B, *organization) string
	do      func(*organization, string) error
}

func anyAccount(_ *testing.B, o *organization) string {
	return o.accounts[mathrand.IntN(len(o.accounts))]
}

func freshAccount(b *testing.B, o *organization) string {
	made, err := o.service.CreateServiceAccount(o.admin,
		svcauth.NewServiceAccount{Name: "fresh-" + rand.Text(), RoleIDs: []string{o.role}})
	require.NoError(b, err)
	return made.ID
}

var scaleCalls = []scaleCall{
	{"create", nil, func(o *organization, _ string) error {
		_, err := o.service.CreateServiceAccount(o.admin,
			svcauth.NewServiceAccount{Name: "new-" + rand.Text(), RoleIDs: []string{o.role}})
		return err
	}},
	{"get", anyAccount, func(o *organization, id string) error {
		_, err := o.service.ServiceAccount(o.admin, id)
		return err
	}},
	{"list first page", nil, func(o *organization, _ string) error { return o.list(svcauth.ListOptions{}) }},
	{"list a page in the middle", nil,
		func(o *organization, _ string) error { return o.list(svcauth.ListOptions{Cursor: o.middle}) }},
	{"list by a name that few have", nil,
		func(o *organization, _ string) error { return o.list(svcauth.ListOptions{Name: "Account-00000012"}) }},
	{"list by a name that all have", nil,
		func(o *organization, _ string) error { return o.list(svcauth.ListOptions{Name: "account-"}) }},
	{"update", anyAccount, func(o *organization, id string) error {
		text := rand.Text()
		_, err := o.service.UpdateServiceAccount(o.admin, id, 0, svcauth.ServiceAccountPatch{Description: &text})
		return err
	}},
	{"grant a role", freshAccount, func(o *organization, id string) error {
		_, err := o.service.AssignServiceAccountRole(o.admin, id, o.second, svcauth.GrantRequest{})
		return err
	}},
	{"take a role away", freshAccount, func(o *organization, id string) error {
		return o.service.UnassignServiceAccountRole(o.admin, id, o.role, "")
	}},
	{"create a secret", freshAccount, func(o *organization, id string) error {
		_, err := o.service.CreateSecret(o.admin, id, svcauth.NewSecretRequest{})
		return err
	}},
	{"delete", freshAccount, func(o *organization,
		id string) error {
		return o.service.DeleteServiceAccount(o.admin, id)
	}},
	{"read a client for its token", anyAccount, func(o *organization, id string) error {
		_, err := o.store.Read().Credentials(o.admin, id)
		return err
	}},
	{"take a privilege off the role that all hold", nil, func(o *organization, _ string) error {
		for _, privileges := range [][]string{{"clusters:view", "clusters:edit"}, {"clusters:view"}} {
			if _, err := o.service.UpdateRole(o.admin, o.role, 0,
				svcauth.RolePatch{Privileges: &privileges}); err != nil {
				return err
			}
		}
		return nil
	}},
}
