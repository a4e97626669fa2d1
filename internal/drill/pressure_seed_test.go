package drill_test

import (
	"os"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/svcauth/svcauth/internal/keyring"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// addClients writes count service accounts into the database, each as the rules
// make one like the given account: a secret of its own, and the role. By the
// management API it would take minutes, because all changes happen one after
// the other.
func (s *stack) addClients(like svcauth.ServiceAccount, count int) []credential {
	s.t.Helper()
	ctx := s.t.Context()
	db, err := store.Open(store.Config{URL: s.setting("SVCAUTH_DATABASE_URL")})
	require.NoError(s.t, err)
	defer db.Close()
	master, err := os.ReadFile(s.setting("SVCAUTH_MASTER_KEY_FILE"))
	require.NoError(s.t, err)
	keys, err := keyring.New(keyring.Config{Store: db, MasterKey: master, Algorithm: "ES256",
		RotateEvery: 90 * 24 * time.Hour, PublishBefore: time.Hour})
	require.NoError(s.t, err)
	require.NoError(s.t, keys.Load(ctx))
	model, err := db.Read().Credentials(ctx, like.ClientID)
	require.NoError(s.t, err)
	made := make([]credential, count)
	var group errgroup.Group
	group.SetLimit(3)
	const batch = 500
	for from := 0; from < count; from += batch {
		group.Go(func() error {
			return db.WriteAside(ctx, func(q *store.Q) error { // nobody else changes anything meanwhile
				for i := from; i < min(from+batch, count); i++ {
					c := credential{svcauth.NewID(svcauth.PrefixServiceAccount), svcauth.NewSecret().Reveal()}
					err := q.InsertClient(ctx,
						store.ClientRow{ID: c.ID, OrgID: model.OrgID, Kind: store.ClientServiceAccount, Name: c.ID,
							CreatedAt:   time.Now(),
							CreatedByID: like.CreatedBy.ID, CreatedByName: like.CreatedBy.Email})
					if err == nil {
						err = q.InsertCredential(ctx,
							store.CredentialRow{ID: svcauth.NewID(svcauth.PrefixSecret), ClientID: c.ID,
								OrgID: model.OrgID, Kind: store.CredentialSecret,
								Material: keys.HashSecret(svcauth.Secret(c.Secret)), CreatedAt: time.Now()})
					}
					if err == nil {
						err = q.PutGrant(ctx,
							store.GrantRow{OrgID: model.OrgID, PrincipalID: c.ID, RoleID: s.role.ID,
								GrantedAt: time.Now()})
					}
					if err != nil {
						return err
					}
					made[i] = c
				}
				return nil
			})
		})
	}
	require.NoError(s.t, group.Wait())
	return made
}

// setting is a variable of the nodes' environment.
func (s *stack) setting(name string) (value string) {
	for _, entry := range s.nodes[0].environ {
		if of, ok := strings.CutPrefix(entry, name+"="); ok {
			value = of
		}
	}
	return value
}
