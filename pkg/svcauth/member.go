package svcauth

import "time"

// The states of a member.
const (
	MemberInvited   = "invited"
	MemberActive    = "active"
	MemberSuspended = "suspended"
)

// Member is a person who signs in to the console.
type Member struct {
	ID            string       `json:"id" doc:"Its id"`
	Email         string       `json:"email" doc:"The e-mail address"`
	FirstName     string       `json:"first_name" doc:"First name"`
	LastName      string       `json:"last_name" doc:"Last name"`
	Status        string       `json:"status" doc:"invited, active or suspended"`
	Suspended     bool         `json:"suspended" doc:"It can't sign in and its application keys get no tokens"`
	Roles         []Ref        `json:"roles" doc:"The roles that it holds"`
	CreatedAt     time.Time    `json:"created_at" doc:"When it was made"`
	CreatedBy     Creator      `json:"created_by" doc:"Who made it"`
	LastSignInAt  *time.Time   `json:"last_sign_in_at" doc:"When it last signed in to the console"`
	InvitationURL string       `json:"invitation_url,omitempty" doc:"A link that works once and expires; only in the answer that made it, and never for a service account"`
	Invitation    *Invitation  `json:"invitation,omitempty" doc:"The one-time link that is open, if one is"`
	Enforcement   *Enforcement `json:"enforcement,omitempty" doc:"How far the change is enforced; only in the answer to a change with wait"`
	Version       int64        `json:"-"` // from the ETag header
}

// The states of the mail that carries a one-time link.
const (
	MailNone   = "none" // the server sends no mail
	MailQueued = "queued"
	MailSent   = "sent" // the mail server accepted it
	MailFailed = "failed"
)

// Invitation describes a member's one-time link without showing it.
type Invitation struct {
	Kind        string     `json:"kind" doc:"invite, or reset: sets another password"`
	ExpiresAt   time.Time  `json:"expires_at" doc:"When it expires"`
	Mail        string     `json:"mail" doc:"What became of the mail that brings it: none (the server sends none), queued, sent (the mail server took it) or failed"`
	MailAt      *time.Time `json:"mail_at,omitempty" doc:"When that came about"`
	MailProblem string     `json:"mail_problem,omitempty" doc:"Why it failed, and what to do"`
	Problem     string     `json:"problem,omitempty" doc:"Why the link would not open now, and what to do; absent: it opens. Not in lists"`
}

// NewMember is the body of POST /v1/members.
type NewMember struct {
	Email     string   `json:"email" minLength:"3" maxLength:"254" doc:"The e-mail address"`
	FirstName string   `json:"first_name" maxLength:"64" doc:"First name"`
	LastName  string   `json:"last_name" maxLength:"64" doc:"Last name"`
	RoleIDs   []string `json:"role_ids,omitempty" maxItems:"100" doc:"Ids of roles to assign"`
}

// MemberPatch changes the fields that are not nil.
type MemberPatch struct {
	FirstName *string `json:"first_name,omitempty" maxLength:"64" doc:"First name"`
	LastName  *string `json:"last_name,omitempty" maxLength:"64" doc:"Last name"`
	Suspended *bool   `json:"suspended,omitempty" doc:"It can't sign in and its application keys get no tokens"`
}
