package people

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// MailWait is how long a mail may wait to be sent. Its sender gives up then.
const MailWait = 5 * time.Minute

// maxMailWait is when a mail of which nothing was heard has failed.
const maxMailWait = MailWait + time.Minute

// Letter is a mail that brings a one-time link.
type Letter struct {
	OrgID    string // the organization on whose account it goes
	Operator bool   // that is the operator's own
	To       string
	Subject  string // without any text of an organization
	Text     string
	// Result hears once what became of it: "" if the mail server took it, else
	// why not, in words for people.
	Result func(problem string)
}

// Mailer sends mail. [Mailer.Admit] counts one mail; what it admits is given
// to [Mailer.Send], which waits for nothing.
type Mailer interface {
	// Admit returns 0, or how long the organization should wait, because it
	// causes too many mails, or too many to this address.
	Admit(orgID, to string) time.Duration
	Send(Letter)
}

// linkMail writes the mail that brings a link, and into row what is known of
// it. A service account depends on the mail: without one it gets a problem. A
// member has the link.
func (s *Service) linkMail(
	ctx context.Context,
	t *access.Tx,
	row *store.InvitationRow,
	m store.MemberRow,
	linkURL string,
) (Letter, error) {
	machine := t.Actor.Kind == svcauth.KindServiceAccount
	mailer := s.cfg.Mail
	if mailer == nil {
		if machine {
			return Letter{}, svcauth.NewProblem(
				svcauth.CodeInvalid,
				"A service account does not get the link to a person's account: it is only sent by mail, and "+
					"this server sends none. Let a member do this (in the console, or with an application key), "+
					"or have the operator configure smtp.",
			)
		}
		return Letter{}, nil
	}
	row.MailAt = t.Now
	if wait := mailer.Admit(t.Actor.OrgID, m.Email); wait > 0 {
		row.Mail, row.MailProblem = store.MailFailed, fmt.Sprintf(
			"Your organization has sent too many mails. Send it again in %s.",
			minutes(wait),
		)
		if machine {
			p := svcauth.NewProblem(
				svcauth.CodeTooMany,
				"Your organization has sent too many mails. Nothing was changed; wait as Retry-After says.",
			)
			p.RetryAfter = wait
			return Letter{}, p
		}
		return Letter{}, nil
	}
	org, err := t.Organization(ctx, m.OrgID)
	if err != nil {
		return Letter{}, err
	}
	row.Mail = store.MailQueued
	hash := row.TokenHash
	letter := Letter{
		OrgID:    t.Actor.OrgID,
		Operator: t.Actor.Operator,
		To:       m.Email,
		Result:   func(problem string) { s.noteMail(hash, problem) },
	}
	letter.Subject, letter.Text = linkText(s.cfg.Issuer, org, row, linkURL)
	return letter, nil
}

// send sends a link's mail once the change is committed.
func (s *Service) send(l link) {
	if l.mail.To != "" {
		s.cfg.Mail.Send(l.mail)
	}
}

// noteMail writes what became of a mail. The request is long over.
func (s *Service) noteMail(hash []byte, problem string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	state := store.MailSent
	if problem != "" {
		state = store.MailFailed
	}
	if err := s.cfg.Store.WriteAside(ctx, func(q *store.Q) error {
		return q.NoteMail(ctx, hash, state, problem, s.now())
	}); err != nil {
		s.cfg.Logger.Warn("what became of a mail could not be written down", "error", err)
	}
}

func minutes(d time.Duration) string {
	if n := int((d + time.Minute - 1) / time.Minute); n > 1 {
		return fmt.Sprintf("%d minutes", n)
	}
	return "a minute"
}

// linkText writes a mail. It comes from the operator's address, so that the
// subject holds nothing that an organization chose, and the text no more of it
// than its name, quoted.
func linkText(
	issuer string,
	organization svcauth.Organization,
	row *store.InvitationRow,
	linkURL string,
) (subject, text string) {
	where := issuer
	if u, err := url.Parse(issuer); err == nil && u.Host != "" {
		where = u.Host
	}
	name := "An organization"
	if n := quotable(organization.Name); n != "" {
		name = `The organization "` + n + `"`
	}
	subject = "Invitation to " + where
	what := name + " invites you to " + where + ". To accept, choose a password here:"
	if !organization.PasswordMayEnter() {
		what = name + " invites you to " + where + ". To accept, sign in by single sign-on here:"
	}
	if row.Kind == store.InvitationReset {
		subject = "Set a new password at " + where
		what = "An administrator asks you to set a new password at " + where + ". " +
			name + " is the one that your account belongs to. Do so here:"
	}
	return subject, fmt.Sprintf(
		"%s\n\n%s\n\nThe link works once, until %s. If you did not expect this message, do nothing.\n",
		what, linkURL, row.ExpiresAt.Format("2 January 2006, 15:04 UTC"),
	)
}

// quotable is a name without anything that a mail program makes a link of, or
// reads as markup or as another line: its letters and digits, and what stands
// between words.
func quotable(name string) string {
	kept := strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.L, unicode.M, unicode.N) || strings.ContainsRune("-'&,", r) {
			return r
		}
		return ' '
	}, name)
	words := strings.Fields(kept)
	out := strings.Join(words, " ")
	if runes := []rune(out); len(runes) > svcauth.MaxNameLength {
		out = string(runes[:svcauth.MaxNameLength])
	}
	return out
}
