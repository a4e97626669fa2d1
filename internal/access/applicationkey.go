package access

import (
	"context"

	"github.com/svcauth/svcauth/internal/paging"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// theMember returns the actor if it is a member, in the console or behind one
// of its application keys. Only members have application keys.
func theMember(ctx context.Context) (Actor, error) {
	actor, err := Caller(ctx, "")
	if err == nil && actor.Kind != svcauth.KindMember {
		err = svcauth.NewProblem(svcauth.CodeForbidden,
			"Application keys belong to members, and only to them: each member makes, sees and "+
				"deletes its own. A service account has secrets instead.")
	}
	return actor, err
}

// CreateApplicationKey makes an application key of the calling member. Its
// secret is in the answer and never shown again. The key acts with all that the
// member holds, so the caller's own token must carry all of it.
func (s *Service) CreateApplicationKey(
	ctx context.Context,
	n svcauth.NewApplicationKey,
) (made svcauth.ApplicationKey, err error) {
	op := Operation{Action: "application_key.create", Target: svcauth.AuditTarget{Kind: "application_key"}}
	err = s.Change(ctx, op, func(ctx context.Context, t *Tx) error {
		t.Caution = n.Caution
		if _, err := theMember(ctx); err != nil {
			return err
		}
		description, err := validDescription(n.Description)
		if err != nil {
			return err
		}
		if err := t.MayHandOverAccount(ctx, t.Actor.ID, Handover{
			What: "make an application key, which acts with all your roles",
		}); err != nil {
			return err
		}
		if err := t.mayMakeApplicationKey(ctx); err != nil {
			return err
		}
		if count, err := t.CountApplicationKeys(ctx, t.Actor.OrgID, t.Actor.ID); err != nil {
			return err
		} else if count >= svcauth.MaxApplicationKeys {
			return svcauth.NewProblem(svcauth.CodeConflict,
				"You have %d application keys, the most there can be. Delete one first.", count)
		}
		made, err = t.AddApplicationKey(ctx, t.Actor.OrgID, svcauth.Creator{
			ID:    t.Actor.ID,
			Email: t.Actor.Name,
		}, description)
		if err != nil {
			return err
		}
		shown := made
		shown.ClientSecret = ""
		t.Target.ID, t.Target.Name, t.After = made.ID, made.Description, shown
		return t.judge(ctx, func(ctx context.Context) error {
			return t.warnOfStopped(ctx, byDefault{principalID: made.Member.ID}, nil)
		})
	})
	if err != nil {
		return svcauth.ApplicationKey{}, err
	}
	made.DefaultRefused = s.defaultRefused(ctx, byDefault{principalID: made.Member.ID})
	return made, nil
}

// AddApplicationKey makes a key of a member with its one secret.
func (t *Tx) AddApplicationKey(
	ctx context.Context,
	orgID string,
	owner svcauth.Creator,
	description string,
) (svcauth.ApplicationKey, error) {
	id := typeid.New(svcauth.PrefixApplicationKey, t.Now)
	key := svcauth.ApplicationKey{ID: id, ClientID: id, Description: description, Member: owner, CreatedAt: t.Now}
	err := t.InsertClient(ctx, store.ClientRow{ID: id, OrgID: orgID, Kind: store.ClientApplicationKey,
		MemberID: &owner.ID, Description: description,
		CreatedAt: t.Now, CreatedByID: owner.ID, CreatedByName: owner.Email})
	if err != nil {
		return key, err
	}
	key.Secret, key.ClientSecret, err = t.addSecret(ctx, orgID, id, owner, svcauth.NewSecretRequest{})
	return key, err
}

// ApplicationKey reads one: the caller's own, or with members:manage anybody's
// of the organization.
func (s *Service) ApplicationKey(ctx context.Context, id string) (svcauth.ApplicationKey, error) {
	actor, err := Caller(ctx, "")
	if err != nil {
		return svcauth.ApplicationKey{}, err
	}
	key, err := s.keyFor(ctx, s.read(), actor, id)
	return key, Problem(err, svcauth.AuditTarget{Kind: "application_key"})
}

// ApplicationKeys returns a page of the calling member's own, newest first;
// with o.Member, which needs members:manage, of that member's.
func (s *Service) ApplicationKeys(
	ctx context.Context,
	o svcauth.ListOptions,
) (list svcauth.List[svcauth.ApplicationKey], err error) {
	var actor Actor
	if o.Member == "" {
		actor, err = theMember(ctx)
		o.Member = actor.ID
	} else if actor, err = Caller(ctx, ""); err == nil && o.Member != actor.ID {
		if _, err = Caller(ctx, svcauth.MembersManage); err == nil {
			_, err = MemberRow(ctx, s.read(), actor.OrgID, o.Member)
		}
	}
	if err != nil {
		return list, Problem(err, svcauth.AuditTarget{Kind: "member"})
	}
	before, limit, err := paging.Below(o, svcauth.PrefixApplicationKey)
	if err != nil {
		return list, err
	}
	read, err := s.read().ApplicationKeys(ctx, actor.OrgID, o.Member, before, limit+1)
	if err == nil {
		list = paging.List(read, limit, func(k svcauth.ApplicationKey) string { return k.ID })
		err = addKeySecrets(ctx, s.read(), actor.OrgID, list.Items)
	}
	return list, Problem(err, svcauth.AuditTarget{Kind: "application_key"})
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
	op := Operation{Action: "application_key.delete", Target: svcauth.AuditTarget{Kind: "application_key", ID: id}}
	return s.Change(ctx, op, func(ctx context.Context, t *Tx) error {
		key, err := s.keyFor(ctx, t.Q, t.Actor, id)
		if err != nil {
			return err
		}
		if err := t.mayManageAccess(ctx); err != nil {
			return err
		}
		t.Target.Name, t.Before = key.Description, key
		return t.deleteClient(ctx, t.Actor.OrgID, id)
	})
}

// EndKeys removes a member's application keys. Their tokens die, and the audit
// log tells of each.
func (t *Tx) EndKeys(ctx context.Context, m store.MemberRow) error {
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
		ended.Target, ended.Before, ended.After = svcauth.AuditTarget{
			Kind: "application_key",
			ID:   key.ID,
			Name: key.Description,
		}, key, nil
		if err := ended.Audit(ctx, "application_key.delete"); err != nil {
			return err
		}
	}
	return nil
}

// revokeKeys kills those tokens of a member's application keys that carry a
// role.
func (t *Tx) revokeKeys(ctx context.Context, m store.MemberRow, role string) error {
	keys, err := t.ApplicationKeyIDs(ctx, m.OrgID, m.ID)
	if err != nil {
		return err
	}
	for _, id := range keys {
		if err := t.revokeClient(ctx, m.OrgID, id, role); err != nil {
			return err
		}
	}
	return nil
}

// touchKeys tells every node that a member's application keys can do something
// else now.
func (t *Tx) touchKeys(ctx context.Context, m store.MemberRow) error {
	keys, err := t.ApplicationKeyIDs(ctx, m.OrgID, m.ID)
	if err != nil {
		return err
	}
	for _, id := range keys {
		if err := t.touch(ctx, m.OrgID, store.ChangeClient, id); err != nil {
			return err
		}
	}
	return nil
}
