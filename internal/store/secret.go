package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const secretSelect = `SELECT client_id, id, hint, description, created_at_ms, created_by_id, created_by_name,
	expires_at_ms, last_used_ms FROM credential WHERE kind = '` + CredentialSecret + `'`

type clientSecret struct {
	clientID string
	info     svcauth.SecretInfo
}

func scanSecret(r row) (s clientSecret, err error) {
	var created int64
	var expires, used sql.NullInt64
	err = r.Scan(
		&s.clientID, &s.info.ID, &s.info.Hint, &s.info.Description,
		&created, &s.info.CreatedBy.ID, &s.info.CreatedBy.Email, &expires, &used,
	)
	s.info.CreatedAt, s.info.ExpiresAt, s.info.LastUsedAt = at(created), moment(expires), moment(used)
	return s, err
}

func scanSecretInfo(r row) (svcauth.SecretInfo, error) {
	s, err := scanSecret(r)
	return s.info, err
}

// Secrets reads what may be known of a client's secrets, newest first.
func (q *Q) Secrets(ctx context.Context, orgID, clientID string) ([]svcauth.SecretInfo, error) {
	return many(
		ctx, q, scanSecretInfo,
		secretSelect+` AND org_id = $1 AND client_id = $2 ORDER BY id DESC`,
		orgID, clientID,
	)
}

// SecretsOf is [Q.Secrets] for several clients at once, as client → secrets.
func (q *Q) SecretsOf(
	ctx context.Context, orgID string, clients []string,
) (map[string][]svcauth.SecretInfo, error) {
	held := make(map[string][]svcauth.SecretInfo, len(clients))
	if len(clients) == 0 {
		return held, nil
	}
	list, args := in([]any{orgID}, clients)
	all, err := many(
		ctx, q, scanSecret,
		secretSelect+` AND org_id = $1 AND client_id IN (`+list+`) ORDER BY id DESC`,
		args...,
	)
	for _, s := range all {
		held[s.clientID] = append(held[s.clientID], s.info)
	}
	return held, err
}

// Secret reads a secret of the client.
func (q *Q) Secret(ctx context.Context, orgID, clientID, id string) (svcauth.SecretInfo, error) {
	return single(
		ctx, q, scanSecretInfo,
		secretSelect+` AND org_id = $1 AND client_id = $2 AND id = $3`,
		orgID, clientID, id,
	)
}

// SecretWithMaterial reads the client's secret that is stored as material. The
// error is [ErrNotFound] if none is.
func (q *Q) SecretWithMaterial(ctx context.Context, orgID, clientID, material string) (svcauth.SecretInfo, error) {
	return single(
		ctx, q, scanSecretInfo,
		secretSelect+` AND org_id = $1 AND client_id = $2 AND material = $3`,
		orgID, clientID, material,
	)
}

// UpdateSecret writes the secret's description and expiry.
func (q *Q) UpdateSecret(ctx context.Context, orgID, clientID string, s svcauth.SecretInfo) error {
	return q.must(ctx, `UPDATE credential SET description = $1, expires_at_ms = $2
		WHERE org_id = $3 AND client_id = $4 AND id = $5 AND kind = $6`,
		s.Description, milliseconds(s.ExpiresAt), orgID, clientID, s.ID, CredentialSecret)
}

// DeleteSecret removes a secret.
func (q *Q) DeleteSecret(ctx context.Context, orgID, clientID, id string) error {
	return q.must(ctx, `DELETE FROM credential WHERE org_id = $1 AND client_id = $2 AND id = $3 AND kind = $4`,
		orgID, clientID, id, CredentialSecret)
}

// HeldSecret is a secret of a service account, with whose it is.
type HeldSecret struct {
	Account svcauth.Ref
	ID      string
	Hint    string
	By      svcauth.Creator
	Until   *time.Time // when it grants nothing of the role any more; nil: never
}

// SecretsUnderRole reads the secrets of the service accounts that hold a role
// now, save the expired ones and those that one maker made; at most limit. An
// empty roleID: those of all the organization's service accounts.
func (q *Q) SecretsUnderRole(
	ctx context.Context, orgID, roleID, notBy string, now time.Time, limit int,
) ([]HeldSecret, error) {
	args := []any{orgID, ClientServiceAccount, notBy, now.UnixMilli(), limit}
	until, from := `s.expires_at_ms`, ` FROM client c
		JOIN credential s ON s.client_id = c.id AND s.kind = '`+CredentialSecret+`'`
	if roleID != "" {
		until = `CASE WHEN s.expires_at_ms IS NULL OR g.expires_at_ms < s.expires_at_ms
			THEN g.expires_at_ms ELSE s.expires_at_ms END`
		from += ` JOIN role_grant g ON g.principal_id = c.id AND g.role_id = $6
			AND (g.expires_at_ms IS NULL OR g.expires_at_ms > $4)`
		args = append(args, roleID)
	}
	text := `SELECT c.id, c.name, s.id, s.hint, s.created_by_id, s.created_by_name, ` + until + from
	return many(ctx, q, func(r row) (h HeldSecret, err error) {
		var until sql.NullInt64
		err = r.Scan(&h.Account.ID, &h.Account.Name, &h.ID, &h.Hint, &h.By.ID, &h.By.Email, &until)
		h.Until = moment(until)
		return h, err
	}, text+` WHERE c.org_id = $1 AND c.kind = $2 AND s.created_by_id <> $3
		AND (s.expires_at_ms IS NULL OR s.expires_at_ms > $4)
		ORDER BY c.id, s.id LIMIT $5`, args...)
}
