package access

import (
	"context"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// SingleSignOn returns the issuer of the provider that members sign in by,
// empty if there is none.
func (s *Service) SingleSignOn() string { return s.cfg.SingleSignOn }

// maySetPasswordSignIn refuses to turn passwords off while nobody who could
// turn them on again gets in without: an active member must hold Administrator
// for good, and have signed in by the provider that is set up now.
func (t *Tx) maySetPasswordSignIn(ctx context.Context, org svcauth.Organization, want string) error {
	switch {
	case want != svcauth.PasswordSignInOn && want != svcauth.PasswordSignInOff:
		return svcauth.InvalidField("body.password_sign_in", "Expected on or off.")
	case want == org.PasswordSignIn || want == svcauth.PasswordSignInOn:
		return nil
	case t.s.cfg.SingleSignOn == "":
		return passwordsNeeded("password_sign_in can't be off: this server has no single sign-on, so nobody could " +
			"sign in. Its operator sets a provider up by the configuration keys oidc.issuer and oidc.client_id.")
	}
	role, err := t.SystemRole(ctx, org.ID, store.RoleAdministrator)
	if err != nil {
		return err
	}
	able, err := t.OtherHolders(ctx, org.ID, role.ID, "", t.s.cfg.SingleSignOn, nil)
	if err == nil && able == 0 {
		return passwordsNeeded("password_sign_in can't be off yet: no member who holds Administrator without an " +
			"end has signed in by single sign-on (" + t.s.cfg.SingleSignOn + "), so all could be locked out. Sign " +
			"out, sign in by single sign-on as such a member, then turn passwords off.")
	}
	return err
}

// passwordsNeeded returns a conflict that names the setting it is about.
func passwordsNeeded(detail string) error {
	p := svcauth.NewProblem(svcauth.CodeConflict, "%s", detail)
	p.Errors = []svcauth.ProblemField{{Location: "body.password_sign_in", Message: detail}}
	return p
}

// keepAWayIn refuses to lose the Administrator who gets in by single sign-on
// for longest, if the organization takes no passwords. The caller has seen to
// it that another Administrator stays, who may be one that can't sign in.
func (t *Tx) keepAWayIn(ctx context.Context, m store.MemberRow, role store.RoleRow, held store.GrantRow) error {
	provider := t.s.cfg.SingleSignOn
	if provider == "" || m.SSOIssuer != provider {
		return nil // it is none of those who get in
	}
	org, err := t.Organization(ctx, m.OrgID)
	if err != nil || org.PasswordMayEnter() {
		return err
	}
	others, err := t.OtherHolders(ctx, m.OrgID, role.ID, m.ID, provider, held.ExpiresAt)
	if err == nil && others == 0 {
		err = svcauth.NewProblem(svcauth.CodeConflict, "%s is the last Administrator of this organization who has "+
			"signed in by single sign-on, and passwords are off (password_sign_in): nobody might get in any more. "+
			"Let another Administrator sign in by single sign-on first, or turn passwords on.", m.Email)
	}
	return err
}

// AllowPasswords turns an organization's password_sign_in on again, with an
// event of its own, for whoever gives a way back in from the server's machine.
// It returns false if passwords are on.
func (t *Tx) AllowPasswords(ctx context.Context, orgID string) (changed bool, err error) {
	was, err := t.Organization(ctx, orgID)
	if err != nil || was.PasswordMayEnter() {
		return false, err
	}
	org := was
	org.PasswordSignIn = svcauth.PasswordSignInOn
	if err := t.UpdateOrganization(ctx, org); err != nil {
		return false, err
	}
	org.Version++
	r := Record{
		Now:    t.Now,
		Actor:  t.Actor,
		Target: svcauth.AuditTarget{Kind: "organization", ID: orgID, Name: org.Name},
		Before: was,
		After:  org,
	}
	if err := t.InsertAuditEvent(ctx, r.Event("organization.update", svcauth.OutcomeDone, "")); err != nil {
		return false, err
	}
	return true, t.touch(ctx, orgID, store.ChangeOrg, orgID)
}
