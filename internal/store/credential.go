package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"strconv"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// CredentialRow is a credential of a client as it is made.
type CredentialRow struct {
	ID, ClientID, OrgID string
	// Kind is one of the constants. Material is what a proof is checked
	// against. That of a secret is "$", the scheme of its hash, "$", the hash.
	Kind, Material string
	// Lookup is what a federated credential is found by, [FederatedLookup].
	Lookup                     string
	Hint, Description          string
	CreatedAt                  time.Time
	CreatedByID, CreatedByName string
	ExpiresAt                  *time.Time
	LastUsedAt                 *time.Time // not written
}

// InsertCredential adds a credential.
func (q *Q) InsertCredential(ctx context.Context, c CredentialRow) error {
	_, err := q.exec(ctx, `INSERT INTO credential (id, client_id, org_id, kind, material, hint, description,
		created_at_ms, created_by_id, created_by_name, expires_at_ms, lookup)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		c.ID, c.ClientID, c.OrgID, c.Kind, c.Material, c.Hint, c.Description,
		c.CreatedAt.UnixMilli(), c.CreatedByID, c.CreatedByName, milliseconds(c.ExpiresAt), c.Lookup)
	return err
}

const credentialSelect = `SELECT id, client_id, org_id, kind, material, lookup, hint, description,
	created_at_ms, created_by_id, created_by_name, expires_at_ms, last_used_ms FROM credential`

func scanCredential(r row) (c CredentialRow, err error) {
	var created int64
	var expires, used sql.NullInt64
	err = r.Scan(&c.ID, &c.ClientID, &c.OrgID, &c.Kind, &c.Material, &c.Lookup, &c.Hint, &c.Description,
		&created, &c.CreatedByID, &c.CreatedByName, &expires, &used)
	c.CreatedAt, c.ExpiresAt, c.LastUsedAt = at(created), moment(expires), moment(used)
	return c, err
}

// CredentialsOf reads a client's credentials of one kind, newest first.
func (q *Q) CredentialsOf(ctx context.Context, orgID, clientID, kind string) ([]CredentialRow, error) {
	return many(ctx, q, scanCredential,
		credentialSelect+` WHERE org_id = $1 AND client_id = $2 AND kind = $3 ORDER BY id DESC`,
		orgID, clientID, kind)
}

// Credential reads one credential of a client. The error is [ErrNotFound] if
// the client has none of the kind with the id.
func (q *Q) Credential(ctx context.Context, orgID, clientID, kind, id string) (CredentialRow, error) {
	return single(ctx, q, scanCredential,
		credentialSelect+` WHERE org_id = $1 AND client_id = $2 AND kind = $3 AND id = $4`,
		orgID, clientID, kind, id)
}

// FederatedLookup returns what a federated credential is found by: a hash of
// issuer and subject, each of any length. The subject is empty if the
// credential fits any.
func FederatedLookup(issuer, subject string) string {
	sum := sha256.Sum256([]byte(strconv.Itoa(len(issuer)) + ":" + issuer + subject))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// CredentialsByLookup reads at most limit federated credentials of an
// organization that are found by one of some lookups.
func (q *Q) CredentialsByLookup(
	ctx context.Context, orgID string, lookups []string, limit int,
) ([]CredentialRow, error) {
	list, args := in([]any{orgID, limit}, lookups)
	return many(ctx, q, scanCredential,
		credentialSelect+` WHERE org_id = $1 AND lookup <> '' AND lookup IN (`+list+`) ORDER BY id LIMIT $2`, args...)
}

// FederatedCredentials reads at most limit federated credentials of an
// organization, newest first.
func (q *Q) FederatedCredentials(ctx context.Context, orgID string, limit int) ([]CredentialRow, error) {
	return many(ctx, q, scanCredential,
		credentialSelect+` WHERE org_id = $1 AND lookup <> '' AND kind = $2 ORDER BY id DESC LIMIT $3`,
		orgID, CredentialFederated, limit)
}

// FederatedClient returns whose the federated credential with an id is. The
// error is [ErrNotFound] if there is none. It takes no organization: the id
// comes from who has not proven yet which one it belongs to.
func (q *Q) FederatedClient(ctx context.Context, id string) (clientID string, err error) {
	return single(ctx, q, func(r row) (clientID string, err error) {
		err = r.Scan(&clientID)
		return clientID, err
	}, `SELECT client_id FROM credential WHERE id = $1 AND kind = $2`, id, CredentialFederated)
}

// UpdateCredential writes the material, lookup, hint, description and expiry of
// a credential. The error is [ErrNotFound] if the client has none of the kind
// with the id.
func (q *Q) UpdateCredential(ctx context.Context, c CredentialRow) error {
	return q.must(ctx, `UPDATE credential SET material = $1, lookup = $2, hint = $3, description = $4, expires_at_ms = $5
		WHERE org_id = $6 AND client_id = $7 AND kind = $8 AND id = $9`,
		c.Material, c.Lookup, c.Hint, c.Description, milliseconds(c.ExpiresAt), c.OrgID, c.ClientID, c.Kind, c.ID)
}

// DeleteCredential removes a credential. Its client keeps when it was last
// used. The error is [ErrNotFound] if the client has none of the kind with the
// id.
func (q *Q) DeleteCredential(ctx context.Context, orgID, clientID, kind, id string) error {
	if _, err := q.exec(ctx, `UPDATE client SET last_used_ms = c.last_used_ms
		FROM credential c WHERE client.org_id = $1 AND client.id = $2 AND c.client_id = client.id AND c.id = $3
			AND c.last_used_ms > COALESCE(client.last_used_ms, 0)`, orgID, clientID, id); err != nil {
		return err
	}
	return q.must(ctx, `DELETE FROM credential WHERE org_id = $1 AND client_id = $2 AND kind = $3 AND id = $4`,
		orgID, clientID, kind, id)
}

// AllCredentials reads a client's credentials of all kinds, newest first.
func (q *Q) AllCredentials(ctx context.Context, orgID, clientID string) ([]CredentialRow, error) {
	return many(ctx, q, scanCredential,
		credentialSelect+` WHERE org_id = $1 AND client_id = $2 ORDER BY created_at_ms DESC, id DESC`, orgID, clientID)
}

// HeldCredential is a credential of a service account, with whose it is.
type HeldCredential struct {
	Account  svcauth.Ref
	ID, Kind string // Kind as in its row
	Hint     string
	By       svcauth.Creator
	Until    *time.Time // when it grants nothing of the role any more; nil: never
}

// CredentialsUnderRole reads the credentials of the service accounts that hold
// a role now, save the expired ones and those that one maker made; at most
// limit. An empty roleID: those of all the organization's service accounts.
func (q *Q) CredentialsUnderRole(
	ctx context.Context, orgID, roleID, notBy string, now time.Time, limit int,
) ([]HeldCredential, error) {
	args := []any{orgID, ClientServiceAccount, notBy, now.UnixMilli(), limit}
	until, from := `s.expires_at_ms`, ` FROM client c JOIN credential s ON s.client_id = c.id`
	if roleID != "" {
		until = `CASE WHEN s.expires_at_ms IS NULL OR g.expires_at_ms < s.expires_at_ms
			THEN g.expires_at_ms ELSE s.expires_at_ms END`
		from += ` JOIN role_grant g ON g.principal_id = c.id AND g.role_id = $6
			AND (g.expires_at_ms IS NULL OR g.expires_at_ms > $4)`
		args = append(args, roleID)
	}
	text := `SELECT c.id, c.name, s.id, s.kind, s.hint, s.created_by_id, s.created_by_name, ` + until + from
	return many(ctx, q, func(r row) (h HeldCredential, err error) {
		var until sql.NullInt64
		err = r.Scan(&h.Account.ID, &h.Account.Name, &h.ID, &h.Kind, &h.Hint, &h.By.ID, &h.By.Email, &until)
		h.Until = moment(until)
		return h, err
	}, text+` WHERE c.org_id = $1 AND c.kind = $2 AND s.created_by_id <> $3
		AND (s.expires_at_ms IS NULL OR s.expires_at_ms > $4)
		ORDER BY c.id, s.id LIMIT $5`, args...)
}
