package people

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// How long one-time links work.
const (
	invitationLife = 7 * 24 * time.Hour
	resetLife      = 24 * time.Hour
)

// link is a one-time link that was just made, with the mail that brings it.
type link struct {
	row  store.InvitationRow
	url  string // empty: its maker does not get it, only the mail goes
	mail Letter // To is empty if no mail goes
}

// makeLink makes the only link to a member's account. It keeps what the
// request that makes it could hand over, for [Service.closed] to judge when
// somebody comes in by it.
func (s *Service) makeLink(ctx context.Context, t *access.Tx, m store.MemberRow, kind string) (link, error) {
	life := invitationLife
	if kind == store.InvitationReset {
		life = resetLife
	}
	token := newToken()
	row := store.InvitationRow{
		TokenHash:  tokenHash(token),
		OrgID:      m.OrgID,
		MemberID:   m.ID,
		Kind:       kind,
		ExpiresAt:  t.Now.Add(life),
		MadeByID:   t.Actor.ID,
		MakerOrgID: t.Actor.OrgID,
		HandsOver:  store.HandsOverAll,
	}
	if t.Actor.Narrow() {
		row.HandsOver = strings.Join(t.Actor.Privileges, " ")
	}
	made := link{row: row, url: s.linkURL(token)}
	var err error
	if made.mail, err = s.linkMail(ctx, t, &made.row, m, made.url); err != nil {
		return made, err
	}
	if t.Actor.Kind == svcauth.KindServiceAccount {
		made.url = "" // a service account has no way into the console
	}
	return made, t.PutInvitation(ctx, made.row)
}

// closed says why nobody may come in by a link at this moment, in words for
// those who manage members. It returns "" if the link opens. It is the one rule
// for every door: the link itself, single sign-on before the first sign-in, and
// links to set another password. Whoever made a link may have kept it. So it
// opens only while its maker may make links, and only what the maker holds now
// and the request that made it could hand over. What the account was given
// later by somebody else stays, but then this link does not open it.
func (s *Service) closed(ctx context.Context, q *store.Q, i store.InvitationRow) (string, error) {
	if i.MadeByID == svcauth.KindSystem {
		return "", nil
	}
	const gone = "Whoever made this link may not make one any more. Make a new link."
	maker, held, err := s.linkMaker(ctx, q, i)
	if errors.Is(err, store.ErrNotFound) {
		return gone, nil
	}
	if err != nil {
		return "", err
	}
	if i.MakerOrgID != i.OrgID {
		if !maker.Operator || !maker.Has(svcauth.OrganizationsManage) {
			return gone, nil
		}
		return "", nil // the operator holds nothing in there, and makes whole organizations
	}
	if !maker.Has(svcauth.MembersManage) {
		return gone, nil
	}
	opens, err := s.access.Effective(ctx, q, i.OrgID, maker.Operator, i.MemberID)
	if err != nil {
		return "", err
	}
	longer, _ := held.Outlasting(opens)
	missing := append(maker.Missing(opens.Privileges), longer...)
	if i.HandsOver != store.HandsOverAll {
		request := access.Actor{Privileges: strings.Fields(i.HandsOver)}
		missing = append(missing, request.Missing(opens.Privileges)...)
	}
	if len(missing) > 0 {
		return "This account holds more than whoever made the link could hand over, or for longer. Make a " +
			"new link with an account that holds all of it.", nil
	}
	return "", nil
}

// linkMaker reads who made a link as it is now, with all that it holds. It
// returns [store.ErrNotFound] if the maker is gone, or may not act.
func (s *Service) linkMaker(
	ctx context.Context,
	q *store.Q,
	i store.InvitationRow,
) (maker access.Actor, held access.EffectivePrivileges, err error) {
	org, err := q.Organization(ctx, i.MakerOrgID)
	if err != nil {
		return maker, held, err
	}
	maker = access.Actor{ID: i.MadeByID, OrgID: org.ID, Operator: org.Operator}
	if svcauth.ValidID(svcauth.PrefixMember, i.MadeByID) {
		maker.Kind = svcauth.KindMember
		m, err := q.Member(ctx, org.ID, i.MadeByID)
		if err != nil {
			return maker, held, err
		}
		if m.Suspended || m.ActivatedAt == nil {
			return maker, held, store.ErrNotFound
		}
	} else {
		maker.Kind = svcauth.KindServiceAccount
		account, err := q.AccountPrincipal(ctx, org.ID, i.MadeByID)
		if err != nil {
			return maker, held, err
		}
		if account.Off || i.OrgID == org.ID && !org.ServiceAccountsMayManageAccess {
			return maker, held, store.ErrNotFound
		}
	}
	held, err = s.access.Effective(ctx, q, org.ID, org.Operator, i.MadeByID)
	maker.Privileges = held.Privileges
	return maker, held, err
}

// openInvitation reads the link that a token is of, and its member, if it
// opens. It does not say why one does not.
func (s *Service) openInvitation(
	ctx context.Context,
	q *store.Q,
	token svcauth.Secret,
) (store.InvitationRow, store.MemberRow, error) {
	i, err := q.Invitation(ctx, tokenHash(token), s.now())
	var m store.MemberRow
	if err == nil {
		m, err = q.Member(ctx, i.OrgID, i.MemberID)
	}
	closed := ""
	if err == nil {
		closed, err = s.closed(ctx, q, i)
	}
	if errors.Is(err, store.ErrNotFound) || err == nil && (closed != "" || m.Suspended) {
		err = svcauth.NewProblem(
			svcauth.CodeNotFound,
			"This link does not work any more: it was used, replaced or is too old, or whoever made it may no "+
				"longer give what it opens. Ask an administrator of your organization for a new one.",
		)
	}
	return i, m, err
}

// pendingMayEnter reports whether a member may sign in without a link. An
// active one may. One that was only invited may while the invitation is open.
func (s *Service) pendingMayEnter(ctx context.Context, q *store.Q, m store.MemberRow) (bool, error) {
	if m.ActivatedAt != nil {
		return true, nil
	}
	i, err := q.InvitationOf(ctx, m.OrgID, m.ID, s.now())
	if errors.Is(err, store.ErrNotFound) { // or it was accepted since m was read
		now, err := q.Member(ctx, m.OrgID, m.ID)
		if errors.Is(err, store.ErrNotFound) {
			return false, nil
		}
		return err == nil && now.ActivatedAt != nil, err
	}
	if err != nil {
		return false, err
	}
	closed, err := s.closed(ctx, q, i)
	return closed == "", err
}

func invitationOver(email string) error {
	return svcauth.NewProblem(
		svcauth.CodeForbidden,
		"The invitation of %s does not open any more: it is too old, or whoever made it may no longer give what "+
			"it opens. Ask an administrator of your organization for a new one.",
		email,
	)
}

// invitationNoun is what may be known of a link.
func (s *Service) invitationNoun(i store.InvitationRow) *svcauth.Invitation {
	n := &svcauth.Invitation{Kind: i.Kind, ExpiresAt: i.ExpiresAt, Mail: i.Mail, MailProblem: i.MailProblem}
	if i.Mail == store.MailNone {
		n.Mail = svcauth.MailNone
		return n
	}
	n.MailAt = &i.MailAt
	if i.Mail == store.MailQueued && s.now().Sub(i.MailAt) > maxMailWait {
		n.Mail, n.MailProblem = svcauth.MailFailed, "The server stopped before it was sent. Send it again."
	}
	return n
}

// newToken makes a one-time token: 256 random bits, base64url.
func newToken() svcauth.Secret {
	var raw [32]byte
	_, _ = rand.Read(raw[:])
	return svcauth.Secret(base64.RawURLEncoding.EncodeToString(raw[:]))
}

// tokenHash is what is kept of a token. 256 random bits need no slow hash.
func tokenHash(token svcauth.Secret) []byte {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return sum[:]
}
