package store

import (
	"cmp"
	"context"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// ClientRow is a client as it is made.
type ClientRow struct {
	ID, OrgID, Kind            string
	MemberID                   *string // of an application key only
	Name, Description          string  // an application key has no name
	TTLSeconds                 int64
	TokenBinding               string // [svcauth.TokenBindingNone] …; empty: none
	DefaultResource            string
	Claims                     map[string]any
	CreatedAt                  time.Time
	CreatedByID, CreatedByName string
}

// InsertClient adds a client. The error is [ErrConflict] if its name is taken
// in its organization.
func (q *Q) InsertClient(ctx context.Context, c ClientRow) error {
	var key *string
	if c.Kind == ClientServiceAccount {
		k := NameKey(c.Name)
		key = &k
	}
	claims, err := svcauth.ClaimsText(c.Claims)
	if err != nil {
		return err
	}
	_, err = q.exec(ctx, `INSERT INTO client (id, org_id, kind, member_id, name, name_key, description, disabled,
		ttl_s, epoch, created_at_ms, created_by_id, created_by_name, token_binding, default_resource,
		claims, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, FALSE, $8, 0, $9, $10, $11, $12, $13, $14, 1)`,
		c.ID, c.OrgID, c.Kind, c.MemberID, c.Name, key, c.Description, c.TTLSeconds,
		c.CreatedAt.UnixMilli(), c.CreatedByID, c.CreatedByName,
		cmp.Or(c.TokenBinding, svcauth.TokenBindingNone), c.DefaultResource, claims)
	return err
}

// RaiseEpoch raises a client's epoch by one and returns the new one. The error
// is [ErrNotFound] if there is no such client.
func (q *Q) RaiseEpoch(ctx context.Context, orgID, clientID string) (int64, error) {
	return count(
		ctx, q,
		`UPDATE client SET epoch = epoch + 1 WHERE org_id = $1 AND id = $2 RETURNING epoch`,
		orgID, clientID,
	)
}
