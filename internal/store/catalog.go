package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Unreadable is the signing algorithm of a profile that this release can't
// read, as a newer one wrote it. There are no tokens for that API, and all else
// goes on.
const Unreadable = "unreadable"

// APIs reads the catalogue's APIs, in its order.
func (q *Q) APIs(ctx context.Context) ([]svcauth.API, error) {
	return many(ctx, q, func(r row) (a svcauth.API, err error) {
		var profile, claims string
		if err := r.Scan(&a.Audience, &a.Name, &a.Description, &profile, &claims); err != nil {
			return a, err
		}
		if claims != "" {
			a.AccountClaims = strings.Fields(claims)
		}
		if profile != "" {
			read := json.NewDecoder(strings.NewReader(profile))
			read.DisallowUnknownFields() // a field of a newer release is part of the form
			if read.Decode(&a.Profile) != nil {
				a.Profile = &svcauth.Profile{SigningAlgorithm: Unreadable}
			}
		}
		return a, nil
	}, `SELECT audience, name, description, profile, account_claims FROM api ORDER BY position`)
}

// Privileges reads the catalogue's privileges, in its order.
func (q *Q) Privileges(ctx context.Context) ([]svcauth.Privilege, error) {
	return many(ctx, q, func(r row) (p svcauth.Privilege, err error) {
		return p, r.Scan(&p.Name, &p.API, &p.Title, &p.Description)
	}, `SELECT name, api, title, description FROM privilege ORDER BY position`)
}

// ReplaceCatalog makes the tables hold exactly the given APIs and privileges.
func (q *Q) ReplaceCatalog(ctx context.Context, apis []svcauth.API, privileges []svcauth.Privilege) error {
	for _, text := range []string{`DELETE FROM privilege`, `DELETE FROM api`} {
		if _, err := q.exec(ctx, text); err != nil {
			return err
		}
	}
	for i, a := range apis {
		profile := ""
		if a.Profile != nil {
			text, err := json.Marshal(a.Profile)
			if err != nil {
				return fmt.Errorf("the profile of the API %s: %w", a.Audience, err)
			}
			profile = string(text)
		}
		if _, err := q.exec(ctx, `INSERT INTO api (audience, name, description, profile, account_claims, position)
			VALUES ($1, $2, $3, $4, $5, $6)`,
			a.Audience, a.Name, a.Description, profile, strings.Join(a.AccountClaims, " "), i); err != nil {
			return err
		}
	}
	for i, p := range privileges {
		if _, err := q.exec(ctx, `INSERT INTO privilege (name, api, title, description, position)
			VALUES ($1, $2, $3, $4, $5)`,
			p.Name, p.API, p.Title, p.Description, i); err != nil {
			return err
		}
	}
	return nil
}

// RolesWithPrivilege reads the roles, of all organizations, that hold a
// privilege.
func (q *Q) RolesWithPrivilege(ctx context.Context, privilege string) ([]RoleRow, error) {
	return many(ctx, q, scanRole, roleSelect+` WHERE r.id IN (SELECT role_id FROM role_privilege WHERE privilege = $1)
		ORDER BY r.id`, privilege)
}
