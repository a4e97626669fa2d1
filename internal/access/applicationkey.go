package access

import (
	"context"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// theMember gives the actor where it is a member, in the console or behind one of its application keys: only members have application keys.
func theMember(ctx context.Context) (Actor, error) {
	actor, err := caller(ctx, "")
	if err == nil && actor.Kind != svcauth.KindMember {
		err = svcauth.NewProblem(svcauth.CodeForbidden, "Application keys belong to members, and only to them: each member makes, sees and deletes its own. A service account has secrets instead.")
	}
	return actor, err
}

// CreateApplicationKey makes an application key of the calling member. Its secret is in the answer and never shown again. The key acts with all that the
// member holds, so the caller's own token must carry all of it.
func (s *Service) CreateApplicationKey(ctx context.Context, n svcauth.NewApplicationKey) (made svcauth.ApplicationKey, err error) {
	op := operation{action: "application_key.create", target: svcauth.AuditTarget{Kind: "application_key"}}
	err = s.change(ctx, op, func(ctx context.Context, t *tx) error {
		if _, err := theMember(ctx); err != nil {
			return err
		}
		description, err := validDescription("body.description", n.Description)
		if err != nil {
			return err
		}
		if err := s.mayHandOverAccount(ctx, t, t.actor.ID, handover{what: "make an application key, which acts with all your roles"}); err != nil {
			return err
		}
		if count, err := t.CountApplicationKeys(ctx, t.actor.OrgID, t.actor.ID); err != nil {
			return err
		} else if count >= svcauth.MaxApplicationKeys {
			return svcauth.NewProblem(svcauth.CodeConflict, "You have %d application keys, the most there can be. Delete one first.", count)
		}
		made, err = s.insertApplicationKey(ctx, t, t.actor.OrgID, svcauth.Creator{ID: t.actor.ID, Email: t.actor.Name}, description)
		if err != nil {
			return err
		}
		shown := made
		shown.ClientSecret = ""
		t.target.ID, t.target.Name, t.after = made.ID, made.Description, shown
		return nil
	})
	if err != nil {
		return svcauth.ApplicationKey{}, err
	}
	return made, nil
}

// ApplicationKey reads one: the caller's own, or with members:manage anybody's of
// the organization.
func (s *Service) ApplicationKey(ctx context.Context, id string) (svcauth.ApplicationKey, error) {
	actor, err := caller(ctx, "")
	if err != nil {
		return svcauth.ApplicationKey{}, err
	}
	key, err := s.keyFor(ctx, s.read(), actor, id)
	return key, s.problem(err, svcauth.AuditTarget{Kind: "application_key"})
}

// ApplicationKeys returns a page of the calling member's own, newest first; with
// o.Member, which needs members:manage, of that member's.
func (s *Service) ApplicationKeys(ctx context.Context, o svcauth.ListOptions) (list svcauth.List[svcauth.ApplicationKey], err error) {
	var actor Actor
	if o.Member == "" {
		actor, err = theMember(ctx)
		o.Member = actor.ID
	} else if actor, err = caller(ctx, ""); err == nil && o.Member != actor.ID {
		if _, err = caller(ctx, svcauth.MembersManage); err == nil {
			_, err = memberRow(ctx, s.read(), actor.OrgID, o.Member)
		}
	}
	if err != nil {
		return list, s.problem(err, svcauth.AuditTarget{Kind: "member"})
	}
	before, limit, err := pageOf(o, svcauth.PrefixApplicationKey)
	if err != nil {
		return list, err
	}
	read, err := s.read().ApplicationKeys(ctx, actor.OrgID, o.Member, before, limit+1)
	if err == nil {
		list = listOf(read, limit, func(k svcauth.ApplicationKey) string { return k.ID })
		err = addKeySecrets(ctx, s.read(), actor.OrgID, list.Items)
	}
	return list, s.problem(err, svcauth.AuditTarget{Kind: "application_key"})
}

// keyFor reads a key that the caller may see and end.
func (s *Service) keyFor(ctx context.Context, q *store.Q, actor Actor, id string) (svcauth.ApplicationKey, error) {
	if !actor.Has(svcauth.MembersManage) {
		if _, err := theMember(ctx); err != nil {
			return svcauth.ApplicationKey{}, err
		}
	}
	if err := checkID(svcauth.PrefixApplicationKey, id); err != nil {
		return svcauth.ApplicationKey{}, err
	}
	key, err := q.ApplicationKey(ctx, actor.OrgID, id)
	if err == nil && key.Member.ID != actor.ID && !actor.Has(svcauth.MembersManage) {
		err = store.ErrNotFound
	}
	if err != nil {
		return svcauth.ApplicationKey{}, err
	}
	one := []svcauth.ApplicationKey{key}
	err = addKeySecrets(ctx, q, actor.OrgID, one)
	return one[0], err
}

// addKeySecrets adds to keys what is known of their one secret.
func addKeySecrets(ctx context.Context, q *store.Q, orgID string, keys []svcauth.ApplicationKey) error {
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	secrets, err := q.SecretsOf(ctx, orgID, ids)
	for i := range keys {
		if own := secrets[keys[i].ID]; len(own) > 0 {
			keys[i].Secret = own[0]
		}
	}
	return err
}

// DeleteApplicationKey removes one: the caller's own, or with members:manage
// anybody's of the organization. Its tokens die.
func (s *Service) DeleteApplicationKey(ctx context.Context, id string) error {
	op := operation{action: "application_key.delete", target: svcauth.AuditTarget{Kind: "application_key", ID: id}}
	return s.change(ctx, op, func(ctx context.Context, t *tx) error {
		key, err := s.keyFor(ctx, t.Q, t.actor, id)
		if err != nil {
			return err
		}
		if err := t.mayManageAccess(ctx); err != nil {
			return err
		}
		t.target.Name, t.before = key.Description, key
		return t.deleteClient(ctx, t.actor.OrgID, id)
	})
}

// endAccess ends what a member can come in by without a proof of who it is: its
// sessions, with the sign-ins that are under way, and its application keys.
func (t *tx) endAccess(ctx context.Context, m store.MemberRow) error {
	if err := t.EndSessions(ctx, m.OrgID, m.ID); err != nil {
		return err
	}
	return t.endKeys(ctx, m)
}

// endKeys removes a member's application keys. Their tokens die, and the audit
// log tells of each.
func (t *tx) endKeys(ctx context.Context, m store.MemberRow) error {
	keys, err := t.ApplicationKeys(ctx, m.OrgID, m.ID, "", svcauth.MaxApplicationKeys)
	if err == nil {
		err = addKeySecrets(ctx, t.Q, m.OrgID, keys)
	}
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := t.deleteClient(ctx, m.OrgID, key.ID); err != nil {
			return err
		}
		ended := *t
		ended.target, ended.before, ended.after = svcauth.AuditTarget{Kind: "application_key", ID: key.ID, Name: key.Description}, key, nil
		if err := ended.audit(ctx, "application_key.delete"); err != nil {
			return err
		}
	}
	return nil
}
