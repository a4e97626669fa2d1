package store

import (
	"context"
	"time"
)

// CredentialRow is a credential of a client as it is made.
type CredentialRow struct {
	ID, ClientID, OrgID string
	// Kind is one of the constants. Material is what a proof is checked
	// against. That of a secret is "$", the scheme of its hash, "$", the hash.
	Kind, Material             string
	Hint, Description          string
	CreatedAt                  time.Time
	CreatedByID, CreatedByName string
	ExpiresAt                  *time.Time
}

// InsertCredential adds a credential.
func (q *Q) InsertCredential(ctx context.Context, c CredentialRow) error {
	_, err := q.exec(ctx, `INSERT INTO credential (id, client_id, org_id, kind, material, hint, description,
		created_at_ms, created_by_id, created_by_name, expires_at_ms)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		c.ID, c.ClientID, c.OrgID, c.Kind, c.Material, c.Hint, c.Description,
		c.CreatedAt.UnixMilli(), c.CreatedByID, c.CreatedByName, milliseconds(c.ExpiresAt))
	return err
}
