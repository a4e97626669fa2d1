package store

import (
	"context"
	"time"
)

// The kinds of one-time links.
const (
	InvitationInvite = "invite" // sets the first password
	InvitationReset  = "reset"  // sets another one
)

// InvitationRow is a one-time link, of which only the token's hash is kept.
type InvitationRow struct {
	TokenHash       []byte // SHA-256
	OrgID, MemberID string
	Kind            string
	ExpiresAt       time.Time
	MadeByID        string // the actor; empty in rows of an older release
}

// PutInvitation makes this the only link of its member.
func (q *Q) PutInvitation(ctx context.Context, i InvitationRow) error {
	if err := q.DeleteInvitations(ctx, i.OrgID, i.MemberID); err != nil {
		return err
	}
	_, err := q.exec(ctx, `INSERT INTO invitation (token_hash, org_id, member_id, kind, expires_at_ms, made_by_id) VALUES ($1, $2, $3, $4, $5, $6)`,
		i.TokenHash, i.OrgID, i.MemberID, i.Kind, i.ExpiresAt.UnixMilli(), i.MadeByID)
	return err
}

// Invitation reads one that has not expired.
func (q *Q) Invitation(ctx context.Context, tokenHash []byte, now time.Time) (InvitationRow, error) {
	return single(ctx, q, func(r row) (i InvitationRow, err error) {
		var expires int64
		err = r.Scan(&i.TokenHash, &i.OrgID, &i.MemberID, &i.Kind, &expires, &i.MadeByID)
		i.ExpiresAt = at(expires)
		return i, err
	}, `SELECT token_hash, org_id, member_id, kind, expires_at_ms, made_by_id FROM invitation WHERE token_hash = $1 AND expires_at_ms > $2`+ofLiving, tokenHash, now.UnixMilli())
}

// DeleteInvitations voids a member's links.
func (q *Q) DeleteInvitations(ctx context.Context, orgID, memberID string) error {
	_, err := q.exec(ctx, `DELETE FROM invitation WHERE org_id = $1 AND member_id = $2`, orgID, memberID)
	return err
}
