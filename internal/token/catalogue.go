package token

import (
	"context"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// catalogue is the APIs and privileges as they were read. It never changes.
type catalogue struct {
	privileges []svcauth.Privilege
	api        map[string]string // privilege → audience
	known      map[string]bool   // audience
}

func loadCatalogue(ctx context.Context, q *store.Q, issuer string) (*catalogue, error) {
	apis, err := q.APIs(ctx)
	if err != nil {
		return nil, err
	}
	privileges, err := q.Privileges(ctx)
	if err != nil {
		return nil, err
	}
	return newCatalogue(apis, privileges, issuer), nil
}

func newCatalogue(apis []svcauth.API, privileges []svcauth.Privilege, issuer string) *catalogue {
	c := &catalogue{privileges: privileges, api: make(map[string]string, len(privileges)), known: map[string]bool{issuer: true}}
	for _, a := range apis {
		c.known[a.Audience] = true
	}
	for _, p := range privileges {
		c.api[p.Name] = p.API
	}
	return c
}

// audiences lists the APIs of the privileges, in their order, once each.
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
