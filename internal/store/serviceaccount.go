package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const serviceAccountSelect = `SELECT id, name, description, disabled, ttl_s, token_binding,
	default_resource, claims, created_at_ms, created_by_id, created_by_name, version,
	` + lastUseColumns + ` FROM client`

// scanServiceAccount leaves roles and secrets empty. TokenTTLSeconds is as
// stored: 0 is the server's default.
func scanServiceAccount(r row) (a svcauth.ServiceAccount, err error) {
	var created int64
	var used, usedGone sql.NullInt64
	var claims string
	err = r.Scan(&a.ID, &a.Name, &a.Description, &a.Disabled, &a.TokenTTLSeconds, &a.TokenBinding,
		&a.DefaultResource, &claims, &created, &a.CreatedBy.ID, &a.CreatedBy.Email, &a.Version,
		&used, &usedGone)
	a.ClientID, a.CreatedAt, a.LastUsedAt = a.ID, at(created), lastUse(used, usedGone)
	a.Claims = map[string]any{}
	if err == nil && claims != "" {
		if err = json.Unmarshal([]byte(claims), &a.Claims); err != nil {
			err = fmt.Errorf("the claims of the service account %s: %w", a.ID, err)
		}
	}
	return a, err
}

// ServiceAccount reads one of the organization, without roles and secrets.
func (q *Q) ServiceAccount(ctx context.Context, orgID, id string) (svcauth.ServiceAccount, error) {
	return single(ctx, q, scanServiceAccount, serviceAccountSelect+` WHERE org_id = $1 AND id = $2 AND kind = $3`,
		orgID, id, ClientServiceAccount)
}

// ServiceAccounts reads a page, newest first, of those with an id below before,
// which is empty for the first page. It leaves out roles and secrets.
func (q *Q) ServiceAccounts(ctx context.Context, orgID, before string, limit int) ([]svcauth.ServiceAccount, error) {
	if before == "" {
		before = beyondIDs
	}
	return many(ctx, q, scanServiceAccount, serviceAccountSelect+` WHERE org_id = $1 AND kind = $2 AND id < $3
		ORDER BY id DESC LIMIT $4`, orgID, ClientServiceAccount, before, limit)
}

// beyondIDs sorts after every id. With it the first page is a range of the
// index like the others, and PostgreSQL needs no plan for an OR.
const beyondIDs = "~"

// fewNamed is the largest number of accounts with a prefix that are found by
// their names and then sorted. Of more, some are mostly among the newest, and
// looking through these is less work.
const fewNamed = 5000

// ServiceAccountsNamed is [Q.ServiceAccounts] for those whose name key begins
// with a prefix. An application key has no name key.
func (q *Q) ServiceAccountsNamed(ctx context.Context, orgID, prefix, before string, limit int,
) ([]svcauth.ServiceAccount, error) {
	if before == "" {
		before = beyondIDs
	}
	upTo := prefix + "\U0010ffff"
	n, err := count(ctx, q, `SELECT COUNT(*) FROM
		(SELECT 1 AS one FROM client WHERE org_id = $1 AND name_key >= $2 AND name_key < $3 LIMIT $4) AS found`,
		orgID, prefix, upTo, fewNamed+1)
	if err != nil {
		return nil, err
	}
	if n > fewNamed {
		return many(ctx, q, scanServiceAccount, serviceAccountSelect+`
			WHERE org_id = $1 AND kind = $2 AND id < $3 AND name_key >= $4 AND name_key < $5
			ORDER BY id DESC LIMIT $6`, orgID, ClientServiceAccount, before, prefix, upTo, limit)
	}
	return many(ctx, q, scanServiceAccount, `WITH named AS MATERIALIZED
			(SELECT id FROM client WHERE org_id = $1 AND name_key >= $2 AND name_key < $3)
		`+serviceAccountSelect+` WHERE id IN (SELECT id FROM named WHERE id < $4 ORDER BY id DESC LIMIT $5)
		ORDER BY id DESC`, orgID, prefix, upTo, before, limit)
}

// UpdateServiceAccount writes what a caller may change of an account. It
// returns [ErrStale] if the version is no longer the given one, and
// [ErrConflict] if the name is taken.
func (q *Q) UpdateServiceAccount(ctx context.Context, orgID string, a svcauth.ServiceAccount) error {
	claims, err := svcauth.ClaimsText(a.Claims)
	if err != nil {
		return err
	}
	return q.mustBeFresh(ctx, `UPDATE client
		SET name = $1, name_key = $2, description = $3, disabled = $4, ttl_s = $5, token_binding = $6,
			default_resource = $7, claims = $8, version = version + 1
		WHERE org_id = $9 AND id = $10 AND kind = $11 AND version = $12`,
		a.Name, NameKey(a.Name), a.Description, a.Disabled, a.TokenTTLSeconds, a.TokenBinding,
		a.DefaultResource, claims, orgID, a.ID, ClientServiceAccount, a.Version)
}

// DeleteClient deletes a service account or an application key with its
// secrets. [Q.DeleteGrantsOf] deletes its grants.
func (q *Q) DeleteClient(ctx context.Context, orgID, id string) error {
	return q.must(ctx, `DELETE FROM client WHERE org_id = $1 AND id = $2`, orgID, id)
}
