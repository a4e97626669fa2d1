package store

import (
	"context"
	"database/sql"

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
