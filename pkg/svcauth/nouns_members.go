package svcauth

import "time"

// Member is a person who signs in to the console.
type Member struct {
	ID           string     `json:"id"`
	Email        string     `json:"email"`
	FirstName    string     `json:"first_name"`
	LastName     string     `json:"last_name"`
	Status       string     `json:"status"` // invited, active or suspended
	Suspended    bool       `json:"suspended"`
	Roles        []Ref      `json:"roles"`
	CreatedAt    time.Time  `json:"created_at"`
	CreatedBy    Creator    `json:"created_by"`
	LastSignInAt *time.Time `json:"last_sign_in_at"`
	// InvitationURL is a one-time link. It is only in the answer to an
	// invitation or a reset.
	InvitationURL string       `json:"invitation_url,omitempty"`
	Invitation    *Invitation  `json:"invitation,omitempty"`  // the link that is still open, if any
	Enforcement   *Enforcement `json:"enforcement,omitempty"` // only in the answer to a change with ?wait=
	Version       int64        `json:"-"`                     // from the ETag header
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
	Kind        string     `json:"kind"` // invite or reset (of the password)
	ExpiresAt   time.Time  `json:"expires_at"`
	Mail        string     `json:"mail"`                   // none, queued, sent or failed
	MailAt      *time.Time `json:"mail_at,omitempty"`      // when it reached that state
	MailProblem string     `json:"mail_problem,omitempty"` // why it failed
	Problem     string     `json:"problem,omitempty"`      // why the link doesn't work now; not in lists
}

// NewMember is the body of POST /v1/members.
type NewMember struct {
	Email     string   `json:"email"`
	FirstName string   `json:"first_name"`
	LastName  string   `json:"last_name"`
	RoleIDs   []string `json:"role_ids,omitempty"`
}

// MemberPatch changes the fields that are not nil.
type MemberPatch struct {
	FirstName *string `json:"first_name,omitempty"`
	LastName  *string `json:"last_name,omitempty"`
	Suspended *bool   `json:"suspended,omitempty"`
}
