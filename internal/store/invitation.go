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

// What became of the mail that holds a link.
const (
	MailNone   = "" // no mail server is configured
	MailQueued = "queued"
	MailSent   = "sent"
	MailFailed = "failed"
)

// HandsOverAll as [InvitationRow.HandsOver] means that the request that made
// the link could hand over everything that its maker holds.
const HandsOverAll = "*"

// InvitationRow is a one-time link, of which only the token's hash is kept.
type InvitationRow struct {
	TokenHash       []byte // SHA-256
	OrgID, MemberID string
	Kind            string
	ExpiresAt       time.Time

	// The actor that made it. The link to a tenant's first member is made in
	// the operator's organization.
	MadeByID, MakerOrgID string
	HandsOver            string // privileges, separated by spaces, or HandsOverAll

	Mail        string // one of the Mail constants
	MailAt      time.Time
	MailProblem string // why the mail failed, for people
}

const invitationSelect = `SELECT token_hash, org_id, member_id, kind, expires_at_ms,
	made_by_id, maker_org_id, hands_over, mail_state, mail_at_ms, mail_problem FROM invitation`

func scanInvitation(r row) (i InvitationRow, err error) {
	var expires, mailed int64
	err = r.Scan(&i.TokenHash, &i.OrgID, &i.MemberID, &i.Kind, &expires,
		&i.MadeByID, &i.MakerOrgID, &i.HandsOver, &i.Mail, &mailed, &i.MailProblem)
	i.ExpiresAt, i.MailAt = at(expires), at(mailed)
	return i, err
}

// PutInvitation makes this the only link of its member.
func (q *Q) PutInvitation(ctx context.Context, i InvitationRow) error {
	if err := q.DeleteInvitations(ctx, i.OrgID, i.MemberID); err != nil {
		return err
	}
	_, err := q.exec(ctx, `INSERT INTO invitation (token_hash, org_id, member_id, kind, expires_at_ms,
		made_by_id, maker_org_id, hands_over, mail_state, mail_at_ms, mail_problem)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		i.TokenHash, i.OrgID, i.MemberID, i.Kind, i.ExpiresAt.UnixMilli(),
		i.MadeByID, i.MakerOrgID, i.HandsOver, i.Mail, i.MailAt.UnixMilli(), i.MailProblem)
	return err
}

// Invitation reads a link that has not expired, by the hash of its token.
func (q *Q) Invitation(ctx context.Context, tokenHash []byte, now time.Time) (InvitationRow, error) {
	return single(ctx, q, scanInvitation, invitationSelect+` WHERE token_hash = $1 AND expires_at_ms > $2`+ofLiving,
		tokenHash, now.UnixMilli())
}

// InvitationOf reads a member's link if it has not expired.
func (q *Q) InvitationOf(ctx context.Context, orgID, memberID string, now time.Time) (InvitationRow, error) {
	return single(ctx, q, scanInvitation, invitationSelect+`
		WHERE org_id = $1 AND member_id = $2 AND expires_at_ms > $3`,
		orgID, memberID, now.UnixMilli())
}

// InvitationsBetween reads the links of the organization's members with ids
// from first to last, which are those of a page of members.
func (q *Q) InvitationsBetween(ctx context.Context, orgID, first, last string, now time.Time) ([]InvitationRow, error) {
	return many(ctx, q, scanInvitation, invitationSelect+`
		WHERE org_id = $1 AND member_id >= $2 AND member_id <= $3 AND expires_at_ms > $4`,
		orgID, first, last, now.UnixMilli())
}

// NoteMail records what became of the mail that holds a link, if the link is
// still there.
func (q *Q) NoteMail(ctx context.Context, tokenHash []byte, state, problem string, now time.Time) error {
	_, err := q.exec(ctx, `UPDATE invitation
		SET mail_state = $1, mail_at_ms = $2, mail_problem = $3 WHERE token_hash = $4`,
		state, now.UnixMilli(), problem, tokenHash)
	return err
}

// DeleteInvitations voids a member's links.
func (q *Q) DeleteInvitations(ctx context.Context, orgID, memberID string) error {
	_, err := q.exec(ctx, `DELETE FROM invitation WHERE org_id = $1 AND member_id = $2`, orgID, memberID)
	return err
}
