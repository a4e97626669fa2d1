package token

import (
	"context"
	"sync/atomic"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// catalogue is the APIs and privileges as they were read at one moment. It
// never changes.
type catalogue struct {
	privileges []svcauth.Privilege
	api        map[string]string      // privilege → audience
	known      map[string]bool        // audience
	profiles   map[string]*apiProfile // by audience; one that is not there has the usual
}

func loadCatalogue(ctx context.Context, q *store.Q, issuer, algorithm string) (*catalogue, error) {
	apis, err := q.APIs(ctx)
	if err != nil {
		return nil, err
	}
	privileges, err := q.Privileges(ctx)
	if err != nil {
		return nil, err
	}
	return newCatalogue(apis, privileges, issuer, algorithm), nil
}

// catalogues keeps the catalogue in force.
type catalogues struct {
	changes atomic.Int64
	kept    atomic.Pointer[keptCatalogue]
}

// keptCatalogue is a catalogue with the number of changes that were known
// before it was read.
type keptCatalogue struct {
	*catalogue
	changes int64
}

// catalogue returns the catalogue in force, from memory if it is there.
func (s *Service) catalogue(ctx context.Context) (*catalogue, error) {
	changes := s.catalogs.changes.Load()
	if kept := s.catalogs.kept.Load(); kept != nil && kept.changes == changes {
		return kept.catalogue, nil
	}
	loaded, err := loadCatalogue(ctx, s.cfg.Store.Read(), s.cfg.Issuer, s.cfg.Keyring.Algorithm())
	if err != nil {
		return nil, err
	}
	s.catalogs.kept.Store(&keptCatalogue{loaded, changes})
	return loaded, nil
}

// forget has the catalogue read again with the next client. One that is being
// read now is not kept for long: it may be the old one.
func (c *catalogues) forget() { c.changes.Add(1) }

// newCatalogue works out what follows from the APIs and their privileges.
// algorithm is what tokens are signed with if their API does not say.
func newCatalogue(apis []svcauth.API, privileges []svcauth.Privilege, issuer, algorithm string) *catalogue {
	c := &catalogue{
		privileges: privileges,
		api:        make(map[string]string, len(privileges)), known: map[string]bool{issuer: true},
		profiles: map[string]*apiProfile{},
	}
	for _, a := range apis {
		c.known[a.Audience] = true
		if a.Audience != issuer && (a.Profile != nil || len(a.AccountClaims) > 0) {
			c.profiles[a.Audience] = newAPIProfile(a, algorithm)
		}
	}
	for _, p := range privileges {
		c.api[p.Name] = p.API
	}
	return c
}

// audiences returns the APIs of the privileges, in their order, once each.
func (c *catalogue) audiences(privileges []string) []string {
	var all []string
	seen := map[string]bool{}
	for _, p := range privileges {
		if api := c.api[p]; api != "" && !seen[api] {
			seen[api] = true
			all = append(all, api)
		}
	}
	return all
}
